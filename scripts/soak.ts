import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'

const USAGE = `npm run sync:soak: many more trials of sync than npm test has time for

  npm run sync:soak -- [--trials 10000] [--operations 100000] [--seed N]

  --trials      random histories of writers, devices, batches, joins, deaths and expiries, each with faults between SDK
                and store; once writes stop, every replica must equal the server
  --operations  writes of 16 writers to one space through two hubs, while 8 devices listen
  --seed        the seed of a run to repeat; a failure names its seed

A trial takes about half a second of one core, and an operation 30 ms. A trial that finds something says so at once; the
figures come at the end. Exits with 1 if anything was missed, lost or doubled.`

const { values: { trials, operations, seed, help } } = parseArgs({
  options: {
    trials: { type: 'string', default: '10000' },
    operations: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
    help: { type: 'boolean' }
  }
})
const sizes = [trials, operations, seed].map(Number)
if (help === true) console.log(USAGE)
else if (!sizes.every((size) => Number.isInteger(size) && size > 0)) {
  console.error(`--trials, --operations and --seed are whole numbers above 0\n\n${USAGE}`)
  process.exitCode = 2
} else {
  console.error(`seed ${seed}: ${trials} trials, then ${operations} operations`)
  const child = spawn(process.execPath, ['node_modules/tap/dist/esm/run.mjs', '--disable-coverage',
    '--timeout=86400', '--jobs=1', '--reporter=tap', 'test/sync-model.test.ts',
    'test/deep/sync-storm.test.ts'], {
    env: { ...process.env, SYNC_TRIALS: trials, SYNC_OPERATIONS: operations, SYNC_SEED: seed },
    stdio: 'inherit'
  })
  ;[process.exitCode] = await once(child, 'exit') as [number]
}
