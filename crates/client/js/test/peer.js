// An HTTP server that behaves in all the ways that a client must bear.
import { once } from 'node:events'
import { createServer } from 'node:http'

export async function startPeer () {
  const open = await listening(handler(true))
  const closed = await listening(handler(false))
  const leaving = await listening(() => {})
  const gone = url(leaving)
  await close(leaving)
  return {
    /** Lets pages of other origins in, does not, and is not there. */
    access: { open: url(open), closed: url(closed), gone },
    stop: async () => { await Promise.all([close(open), close(closed)]) }
  }
}

function handler (cors) {
  return (request, response) => {
    if (cors) {
      response.setHeader('access-control-allow-origin', '*')
      response.setHeader('access-control-allow-methods', 'GET, HEAD, PUT, POST, DELETE')
      response.setHeader('access-control-allow-headers', 'x-amz-a, content-type')
      response.setHeader('access-control-expose-headers', 'x-seen')
    }
    if (request.method === 'OPTIONS') {
      response.end()
      return
    }
    const path = new URL(request.url, 'http://peer').pathname
    const chunks = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      switch (path) {
        case '/echo':
          response.setHeader('x-seen', JSON.stringify({ method: request.method, headers: request.headers }))
          response.end(body)
          return
        case '/redirect':
          response.writeHead(307, { location: '/echo' }).end()
          return
        case '/large':
          response.end(Buffer.alloc(1 << 20))
          return
        case '/silent':
          return
        case '/stalls':
          response.writeHead(200, { 'content-length': '100' })
          response.write('begun')
          return
        case '/cut':
          response.writeHead(200, { 'content-length': '100' })
          response.write('begun', () => { request.socket.destroy() })
          return
        case '/denied':
          response.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>')
          return
        default:
          response.writeHead(404).end()
      }
    })
  }
}

async function listening (handle) {
  const server = createServer(handle)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

async function close (server) {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
}

function url (server) {
  return `http://127.0.0.1:${server.address().port}`
}
