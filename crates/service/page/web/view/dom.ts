// Elements, without markup in texts: nothing that is shown can become a script.

type Child = Node | string | undefined | false
type Props = Record<string, string | number | boolean | ((event: never) => void) | undefined>

/** An element. Properties that begin with `on` are listeners, `class` and the rest are attributes. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
    const element = document.createElement(tag)
    fill(element, props, children)
    return element
}

/** The same in SVG. */
export function s(tag: string, props: Props = {}, ...children: Child[]): SVGElement {
    const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
    fill(element, props, children)
    return element
}

function fill(element: Element, props: Props, children: Child[]) {
    for (const [name, value] of Object.entries(props)) {
        if (typeof value === 'function') element.addEventListener(name.slice(2), value as EventListener)
        else if (value === true) element.setAttribute(name, '')
        else if (value !== false && value !== undefined) element.setAttribute(name, String(value))
    }
    element.append(...children.filter(child => child !== undefined && child !== false))
}

/** Sets a text only where it changed, so that nothing is laid out or read aloud for nothing. */
export function text(node: Node, value: string): void {
    if (node.textContent !== value) node.textContent = value
}

/** A function that runs `update` once in the next frame, however often it is called. */
export function eachFrame(update: () => void): () => void {
    let asked = false
    return () => {
        if (asked) return
        asked = true
        requestAnimationFrame(() => {
            asked = false
            update()
        })
    }
}

const said = document.getElementById('said')

/** Says something to those who listen to the page. */
export function say(words: string): void {
    if (said !== null) said.textContent = words
}

/** A button that copies, and says so. */
export function copyButton(words: string, what: () => string, classes = 'small', label?: string): HTMLButtonElement {
    let back = 0
    const button = h('button', { type: 'button', class: classes, 'aria-label': label, onclick: () => void copy() }, words)
    const copy = async () => {
        try {
            await navigator.clipboard.writeText(what())
            button.textContent = 'Copied'
            say('Copied')
        } catch {
            button.textContent = 'Not allowed'
        }
        clearTimeout(back)
        back = window.setTimeout(() => (button.textContent = words), 1600)
    }
    return button
}
