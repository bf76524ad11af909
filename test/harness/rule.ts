import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { loadTemplate, render, type Part } from '../../src/local/iam/template.ts'

export const template = loadTemplate()
/** template.yaml with its defaults. */
export const rendered = render(template)

/**
 * Tests the template by a rule, and the rule by templates that break it.
 * @param check looks over the rendered resources and gives what is wrong with them
 * @param breaches by name: each makes a change that the rule must object to
 */
export function rule (
  title: string,
  check: (resources: Part) => unknown[],
  breaches: Readonly<Record<string, (resources: Part) => unknown>>
): void {
  t.test(title, async (t) => {
    t.strictSame(check(rendered.Resources), [])
    for (const [name, breach] of Object.entries(breaches)) {
      t.not(check(breached(breach)).length, 0, `notices: ${name}`)
    }
  })
}

/** A copy of the resources with a change made to it. */
export function breached (breach: (resources: Part) => unknown): Part {
  const copy = structuredClone(rendered.Resources)
  breach(copy)
  return copy
}

/** One finding where two things differ that should be the same, otherwise none. */
export const differ = (what: string, found: unknown, wanted: unknown): object[] =>
  isDeepStrictEqual(found, wanted) ? [] : [{ what, found, wanted }]
