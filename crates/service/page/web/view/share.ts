// The share link of a root. It holds no token, unless one that may be given away is put in by hand.

import { shareLink, type Shared } from '../address.ts'
import { duration } from '../format.ts'
import { claimsOf } from '../token.ts'
import { copyButton, h, text } from './dom.ts'

export function sharePanel(shared: Shared, page: string, publicReads: boolean): HTMLElement {
    const link = h('input', { type: 'text', readonly: true, 'aria-label': 'Share link', class: 'link' })
    link.addEventListener('focus', () => link.select())
    const token = h('input', { type: 'password', placeholder: 'Paste a token that may only read', autocomplete: 'off', spellcheck: 'false', 'aria-label': 'Token to give away' })
    const words = h('p', { 'aria-live': 'polite' })
    const box = h('input', { type: 'checkbox' })
    const update = () => {
        token.hidden = !box.checked
        const given = box.checked ? token.value.trim() : ''
        link.value = shareLink(page, shared, given || undefined)
        text(words, explain(publicReads, box.checked, given))
    }
    box.addEventListener('change', () => {
        update()
        if (box.checked) token.focus()
    })
    token.addEventListener('input', update)
    update()
    const share = typeof navigator.share === 'function' && matchMedia('(pointer: coarse)').matches
    return h(
        'div',
        { class: 'panel' },
        h(
            'div',
            { class: 'field' },
            link,
            copyButton('Copy link', () => link.value, 'main'),
            share && h('button', { type: 'button', onclick: () => void navigator.share({ title: shared.name, url: link.value }).catch(() => {}) }, 'Share…')
        ),
        !publicReads && h('label', { class: 'choice' }, box, 'with read access'),
        !publicReads && token,
        words
    )
}

function explain(publicReads: boolean, access: boolean, token: string): string {
    if (publicReads) return 'Anyone with this link can read it.'
    if (!access) return 'Whoever opens it needs a token of their own.'
    if (token === '') return 'Anyone with the link will be able to do what this token allows. Make one that may only read, for a short time: cidbucket token issue --ops read --expires 1h'
    const claims = claimsOf(token)
    const others = claims?.operations?.filter(operation => operation !== 'read') ?? []
    if (others.length > 0) return `Careful: anyone with this link may also ${others.join(', ')}. Better paste a token that may only read.`
    if (claims?.expires === undefined) return 'Anyone with this link can read with this token.'
    const left = claims.expires - Date.now() / 1000
    return left <= 0 ? 'This token has expired.' : `Anyone with this link can read with this token, for another ${duration(left)}.`
}
