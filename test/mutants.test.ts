import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { MUTANTS, placesOf } from '../scripts/mutants/list.ts'

test('the text of each planted bug occurs exactly once in the file that it is planted in', (t) => {
  for (const { name, file, find } of MUTANTS) {
    t.equal(placesOf(find, readFileSync(file, 'utf8')).length, 1, `${name}, in ${file}`)
  }
  t.end()
})
