/** One event of a stream. */
export interface ServerEvent {
  readonly event: string
  readonly data: string
}

/**
 * Reads server-sent events (WHATWG HTML, section 9.2) from chunks of bytes. Comments and what has no data are
 * no events.
 * @returns takes a chunk, and gives the events that it completes
 */
export function createEventReader (): (chunk: Uint8Array) => ServerEvent[] {
  const decoder = new TextDecoder()
  let rest = ''
  let event = ''
  let data: string[] = []

  return (chunk) => {
    rest += decoder.decode(chunk, { stream: true })
    // A CR at the very end may be half of a CRLF.
    const lines = rest.split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop()!
    return lines.flatMap((line) => {
      if (line !== '') {
        const [, field, value] = /^([^:]*):? ?([^]*)$/.exec(line)!
        if (field === 'data') data.push(value!)
        else if (field === 'event') event = value!
        return []
      }
      const complete = data.length === 0
        ? []
        : [{ event: event === '' ? 'message' : event, data: data.join('\n') }]
      ;[event, data] = ['', []]
      return complete
    })
  }
}
