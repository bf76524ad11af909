import { writeFile } from 'node:fs/promises'
import { buildApp } from '../src/app.ts'
import { loadConfig, silenceSdkNotice } from '../src/config.ts'

const USAGE =
  'npm run openapi: writes openapi.json from the routes of the hub (test/documents.test.ts compares the two)'

if (process.argv.includes('--help')) {
  console.log(USAGE)
} else {
  silenceSdkNotice()
  const app = await buildApp({ ...loadConfig({}), logLevel: 'silent' })
  await app.ready()
  await writeFile('openapi.json', `${JSON.stringify(app.swagger(), null, 1)}\n`)
  await app.close()
}
