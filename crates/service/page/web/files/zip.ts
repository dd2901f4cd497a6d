// A zip archive without compression, for browsers that cannot save a folder. Sizes stay below 4 GiB,
// since it is put together in memory; names are UTF-8.

/** Adds files one after another, then ends. */
export class Zip {
    private readonly parts: BlobPart[] = []
    private readonly directory: BlobPart[] = []
    private offset = 0
    private directorySize = 0
    private entries = 0

    /** Adds a file; a path that ends in `/` is an empty folder. */
    async add(path: string, content: AsyncIterable<Uint8Array>, modified: Date): Promise<void> {
        const name = new TextEncoder().encode(path)
        const body: Uint8Array[] = []
        let size = 0
        let crc = 0xffffffff
        for await (const chunk of content) {
            crc = crc32(crc, chunk)
            size += chunk.length
            body.push(chunk)
        }
        crc = (crc ^ 0xffffffff) >>> 0
        // Version 2.0, UTF-8 names, stored; see APPNOTE 4.3.7 and 4.3.12.
        const common = bytes(26)
        common.setUint16(0, 20, true)
        common.setUint16(2, 0x0800, true)
        common.setUint32(6, dosTime(modified), true)
        common.setUint32(10, crc, true)
        common.setUint32(14, size, true)
        common.setUint32(18, size, true)
        common.setUint16(22, name.length, true)
        const head = bytes(4)
        head.setUint32(0, 0x04034b50, true)
        this.parts.push(head.buffer, common.buffer, name, ...(body as BlobPart[]))

        const entry = bytes(6)
        entry.setUint32(0, 0x02014b50, true)
        entry.setUint16(4, 0x0314, true)
        const tail = bytes(14)
        // Unix permissions and the folder bit.
        tail.setUint32(6, path.endsWith('/') ? (0o40755 << 16) | 0x10 : 0o100644 << 16, true)
        tail.setUint32(10, this.offset, true)
        this.directory.push(entry.buffer, common.buffer, tail.buffer, name)
        this.directorySize += 46 + name.length
        this.offset += 30 + name.length + size
        this.entries += 1
    }

    end(): Blob {
        const end = bytes(22)
        end.setUint32(0, 0x06054b50, true)
        end.setUint16(8, this.entries, true)
        end.setUint16(10, this.entries, true)
        end.setUint32(12, this.directorySize, true)
        end.setUint32(16, this.offset, true)
        return new Blob([...this.parts, ...this.directory, end.buffer], { type: 'application/zip' })
    }
}

/** The most files of an archive. */
export const MOST_FILES = 65_534

function bytes(length: number): DataView<ArrayBuffer> {
    return new DataView(new ArrayBuffer(length))
}

function dosTime(date: Date): number {
    const day = ((Math.max(date.getFullYear(), 1980) - 1980) << 9) | ((date.getMonth() + 1) << 5) | date.getDate()
    const time = (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1)
    return ((day << 16) | time) >>> 0
}

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1
    return n >>> 0
})

function crc32(crc: number, chunk: Uint8Array): number {
    for (const byte of chunk) crc = (TABLE[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8)
    return crc >>> 0
}
