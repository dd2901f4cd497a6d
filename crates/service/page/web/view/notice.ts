// Something went wrong: what, why, and what to do.

import type { Trouble } from '../trouble.ts'
import { copyButton, h } from './dom.ts'

export interface NoticeActions {
    retry?: () => void
    token?: () => void
    dismiss?: () => void
}

export function notice(trouble: Trouble, actions: NoticeActions = {}): HTMLElement {
    const { retry, token, dismiss } = actions
    return h(
        'div',
        { class: `notice${trouble.mild ? ' mild' : ''}`, role: trouble.mild ? 'status' : 'alert', 'data-kind': trouble.kind },
        h('b', {}, trouble.title),
        h('p', {}, trouble.text),
        trouble.command !== undefined &&
            h('div', { class: 'command' }, h('code', {}, trouble.command), copyButton('Copy', () => trouble.command as string, 'small quiet', `Copy the command ${trouble.command}`)),
        h(
            'div',
            { class: 'row' },
            retry && h('button', { type: 'button', class: 'small', onclick: retry }, 'Try again'),
            trouble.token && token && h('button', { type: 'button', class: 'small', onclick: token }, 'Enter a token'),
            dismiss && h('button', { type: 'button', class: 'small quiet', onclick: dismiss }, 'Dismiss')
        )
    )
}
