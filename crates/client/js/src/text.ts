/** Bytes as text and back: the few forms that grants need. */

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Lower-case hexadecimal. */
export function hex (bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) {
    text += HEX[byte]
  }
  return text
}

/** Base64 with padding (RFC 4648, section 4). */
export function base64 (bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
}

/** Reads base64url without padding (RFC 4648, section 5); `undefined` where it is anything else. */
export function readBase64url (text: string): Uint8Array | undefined {
  if (!/^[\w-]*$/.test(text) || text.length % 4 === 1) {
    return undefined
  }
  const plain = text.replaceAll('-', '+').replaceAll('_', '/')
  const binary = atob(plain)
  // Bits that are left over must be zero, so that there is one text for the bytes.
  if (btoa(binary).replace(/=+$/, '') !== plain) {
    return undefined
  }
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = binary.charCodeAt(i)
  }
  return bytes
}

const encoder = new TextEncoder()

/** The bytes of a text in UTF-8. */
export function utf8 (text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text)
}
