import { startAgain, takeIn } from './replica.ts'
import type { State } from './state.ts'
import { metaOf } from './tables.ts'
import type { ChangeSet, Page } from './wire.ts'

/** Where answers to pulls come in, in order, however they were had. */
export interface Intake {
  /** Where the next pull begins. */
  cursor(): string | undefined
  /**
   * Takes in an answer. @param from the cursor of the request. @returns false where the device has gone on
   * since, and the answer was dropped
   */
  take(from: string | undefined, page: Page): Promise<boolean>
  /** A cursor leads nowhere any more: the next pull begins a snapshot. */
  startAgain(from: string | undefined): Promise<void>
}

/**
 * Pages that end within a batch are held in memory until the batch is whole: what is kept goes from one whole
 * state to the next, and a process that ends in between asks again from the last.
 */
export function createIntake (state: State): Intake {
  /** The pages beyond what is kept, as one, and the cursor that they were asked for with. */
  let ahead: { readonly base: string | undefined, readonly page: Page } | undefined

  function held (): typeof ahead {
    // Another tab may have gone on meanwhile.
    if (ahead !== undefined && metaOf(state).cursor !== ahead.base) ahead = undefined
    return ahead
  }

  const cursor = () => held()?.page.cursor ?? metaOf(state).cursor

  return {
    cursor,
    async take (from, page) {
      if (cursor() !== from) return false
      const before = held()
      const whole = before === undefined || page.reset === true ? page : joined(before.page, page)
      const base = before === undefined ? from : before.base
      if (isBatchOpen(whole.changes)) {
        ahead = { base, page: whole }
        return true
      }
      const isTaken = await state.change((draft) => takeIn(draft, base, whole))
      ahead = undefined
      return isTaken
    },
    async startAgain (from) {
      if (cursor() !== from) return
      const base = held() === undefined ? from : held()!.base
      ahead = undefined
      await state.change((draft) => {
        startAgain(draft, base)
      })
    }
  }
}

const joined = (one: Page, next: Page): Page => ({
  ...one,
  ...next,
  changes: [...one.changes, ...next.changes]
})

/** Whether the last change-set of a space is a part that others must follow. */
function isBatchOpen (changes: readonly ChangeSet[]): boolean {
  const last = new Map(changes.map(({ space, batch }) => [space, batch]))
  return [...last.values()].some((batch) => batch !== undefined && batch.part < batch.parts)
}
