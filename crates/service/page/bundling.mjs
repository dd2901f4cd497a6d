// How TypeScript becomes scripts, for the page and for its tests.

import { dirname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const client = join(here, '..', '..', 'client', 'js')

// The client's sources are taken as they are, and what they import is what this package has locked,
// whether or not the client's own packages are installed.
const clientFromSource = {
    name: 'client-from-source',
    setup(build) {
        build.onResolve({ filter: /^@cidbucket\/client$/ }, () => ({ path: join(client, 'src', 'index.ts') }))
        build.onResolve({ filter: /^[^.]/ }, ({ path, importer, kind, pluginData }) =>
            pluginData !== 'here' && importer.startsWith(client + sep)
                ? build.resolve(path, { resolveDir: here, kind, pluginData: 'here' })
                : undefined)
    }
}

export const bundling = {
    bundle: true,
    format: 'esm',
    target: ['es2022', 'chrome110', 'firefox115', 'safari16.4'],
    charset: 'utf8',
    plugins: [clientFromSource],
    logLevel: 'warning'
}
