// The token: kept for this tab only, and looked at only to explain what it allows.

/** What a token says of itself. The service alone decides whether that is true. */
export interface TokenClaims {
    subject?: string
    operations?: string[]
    /** Seconds since 1970. */
    expires?: number
}

const KEY = 'cidbucket.token'

/** The token of this tab; for the page of `shared`, that of its link first. */
export function keptToken(shared?: string): string | undefined {
    const kept = (shared && sessionStorage.getItem(`${KEY}.${shared}`)) || sessionStorage.getItem(KEY)
    return kept || undefined
}

/** Keeps a token until the tab is closed, all over or for what `shared` names. */
export function keepToken(token: string | undefined, shared?: string): void {
    const key = shared ? `${KEY}.${shared}` : KEY
    if (token) sessionStorage.setItem(key, token)
    else sessionStorage.removeItem(key)
}

/** Forgets all tokens of this tab. */
export function forgetTokens(): void {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(KEY)) sessionStorage.removeItem(key)
}

/** The claims of a JWT, unchecked; `undefined` for other tokens. */
export function claimsOf(token: string): TokenClaims | undefined {
    const [, payload, signature] = token.split('.')
    if (payload === undefined || signature === undefined) return undefined
    try {
        const bytes = Uint8Array.from(atob(payload.replaceAll('-', '+').replaceAll('_', '/')), c => c.charCodeAt(0))
        const claims: unknown = JSON.parse(new TextDecoder().decode(bytes))
        if (typeof claims !== 'object' || claims === null) return undefined
        const { sub, exp, cap } = claims as Record<string, unknown>
        const ops = typeof cap === 'object' && cap !== null ? (cap as Record<string, unknown>)['ops'] : undefined
        return {
            ...(typeof sub === 'string' && sub !== '' ? { subject: sub } : {}),
            ...(typeof exp === 'number' ? { expires: exp } : {}),
            ...(Array.isArray(ops) ? { operations: ops.filter(op => typeof op === 'string') } : {})
        }
    } catch {
        return undefined
    }
}
