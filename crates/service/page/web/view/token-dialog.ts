// Where the token is entered and forgotten. It stays in this tab.

import { duration } from '../format.ts'
import { claimsOf } from '../token.ts'
import { h } from './dom.ts'

/** Asks for a token; resolves with it, with `''` to forget it, or `undefined` where nothing is to change. */
export function askForToken(current: string | undefined): Promise<string | undefined> {
    const field = h('input', { type: 'password', id: 'token', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', required: true, placeholder: current ? 'Paste another token' : 'Paste your token' })
    const dialog = h('dialog', { 'aria-labelledby': 'token-title' })
    return new Promise(resolve => {
        const close = (answer: string | undefined) => {
            resolve(answer)
            dialog.close()
            dialog.remove()
        }
        const form = h(
            'form',
            { method: 'dialog' },
            h('h2', { id: 'token-title' }, 'Your token'),
            h('p', {}, 'It says what you may do here. It stays in this tab, and is forgotten when you close it.'),
            current !== undefined && described(current),
            h('label', { class: 'unseen', for: 'token' }, 'Token'),
            field,
            h(
                'div',
                { class: 'row' },
                current !== undefined && h('button', { type: 'button', class: 'quiet', onclick: () => close('') }, 'Forget it'),
                h('button', { type: 'button', onclick: () => close(undefined) }, 'Cancel'),
                h('button', { type: 'submit', class: 'main' }, 'Use it')
            )
        )
        form.addEventListener('submit', event => {
            event.preventDefault()
            const token = field.value.trim().replace(/^Bearer\s+/i, '')
            if (token !== '') close(token)
        })
        dialog.addEventListener('cancel', event => {
            event.preventDefault()
            close(undefined)
        })
        dialog.append(form)
        document.body.append(dialog)
        dialog.showModal()
        field.focus()
    })
}

function described(token: string): HTMLElement | undefined {
    const claims = claimsOf(token)
    if (claims === undefined) return undefined
    const left = claims.expires === undefined ? undefined : claims.expires - Date.now() / 1000
    const lines: [string, string | undefined][] = [
        ['For', claims.subject],
        ['May', claims.operations?.join(', ')],
        ['Ends', left === undefined ? 'never' : left <= 0 ? `${duration(-left)} ago` : `in ${duration(left)}`]
    ]
    return h(
        'dl',
        {},
        ...lines.flatMap(([term, words]) => (words === undefined ? [] : [h('dt', {}, term), h('dd', {}, words)]))
    )
}
