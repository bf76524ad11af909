import { stampsOf, type Content, type Target } from './kinds.ts'
import { keyOf, type Edit, type Held, type Reader } from './tables.ts'

/** What the user is shown: what the hub told of, with the user's own edits on top. */
export function viewOf (reader: Reader, target: Target): Content | undefined {
  const held = reader.get('records', keyOf(target))
  const edit = editOf(reader, target)
  return edit === undefined ? held?.record : withEdit(held, edit)
}

/** All that is shown of a kind in a space, by id. */
export function listOf (reader: Reader, space: string, type: string): Map<string, Content> {
  const prefix = `${space} ${type} `
  const held = new Map(reader.entries('records').filter(([key]) => key.startsWith(prefix)))
  const shown = new Map([...held].map(([key, { record }]) => [key.slice(prefix.length), record]))
  for (const edit of overlay(reader)) {
    if (edit.space !== space || edit.type !== type) continue
    const content = withEdit(held.get(keyOf(edit)), edit)
    if (content === undefined) shown.delete(edit.id)
    else shown.set(edit.id, content)
  }
  return shown
}

/** The edits that are not confirmed: those that are on their way, then those that are not. */
export function overlay (reader: Reader): Edit[] {
  return [...reader.entries('sent').flatMap(([, { edits }]) => edits),
    ...reader.entries('edits').map(([, edit]) => edit)]
}

/** The edit of a record that is on its way. */
export function sentEditOf (reader: Reader, target: Target): Edit | undefined {
  return reader.get('sent', target.space)?.edits.find(({ type, id }) =>
    type === target.type && id === target.id
  )
}

const editOf = (reader: Reader, target: Target) =>
  reader.get('edits', keyOf(target)) ?? sentEditOf(reader, target)

function withEdit (held: Held | undefined, { id, content }: Edit): Content | undefined {
  return content && { ...stampsOf(held?.record), ...content, id }
}
