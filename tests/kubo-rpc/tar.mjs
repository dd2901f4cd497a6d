// Tar archives, read by other code than that under test.

const text = (bytes) => bytes.subarray(0, bytes.indexOf(0) < 0 ? bytes.length : bytes.indexOf(0)).toString()

export function readTar (archive) {
  const entries = []
  let long
  for (let at = 0; archive[at] !== 0;) {
    const head = archive.subarray(at, at + 512)
    const size = parseInt(text(head.subarray(124, 136)), 8)
    const data = archive.subarray(at + 512, at + 512 + size)
    if (data.length !== size) throw new Error('the archive is cut off')
    at += 512 + Math.ceil(size / 512) * 512
    if (String.fromCharCode(head[156]) === 'L') {
      long = text(data)
      continue
    }
    entries.push({ path: (long ?? text(head.subarray(0, 100))).replace(/\/$/, ''), data })
    long = undefined
  }
  return entries
}
