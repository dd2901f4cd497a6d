// Numbers as people read them.

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB']

/** Bytes in decimal units, three digits. */
export function bytes(count: number): string {
    let unit = 0
    while (count >= 999.5 && unit < UNITS.length - 1) {
        count /= 1000
        unit += 1
    }
    const digits = unit === 0 || count >= 99.95 ? 0 : count >= 9.995 ? 1 : 2
    return `${count.toFixed(digits)} ${UNITS[unit]}`
}

/** A speed. */
export function speed(bytesPerSecond: number): string {
    return `${bytes(bytesPerSecond)}/s`
}

/** A span of seconds. */
export function duration(seconds: number): string {
    if (seconds < 9.95) return `${Math.max(seconds, 0.1).toFixed(1)} s`
    if (seconds < 99.5) return `${Math.round(seconds)} s`
    const minutes = Math.round(seconds / 60)
    if (minutes < 100) return `${minutes} min`
    const hours = Math.round(seconds / 3600)
    return hours < 48 ? `${hours} h` : `${Math.round(seconds / 86400)} days`
}

/** A count with its noun. */
export function counted(count: number, one: string, many = `${one}s`): string {
    return `${count.toLocaleString('en')} ${count === 1 ? one : many}`
}

/** A factor: two digits below ten, whole above. */
export function factor(value: number): string {
    if (value < 9.95) return value.toFixed(1)
    return Math.round(value).toLocaleString('en')
}

/** A CID short enough for a phone: its beginning and its end. */
export function shortCid(cid: string): string {
    return cid.length <= 22 ? cid : `${cid.slice(0, 10)}…${cid.slice(-8)}`
}
