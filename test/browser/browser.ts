import { access } from 'node:fs/promises'
import { build } from 'esbuild'
import type { Browser } from 'playwright-core'

const PLACES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome']

/** Where a Chromium is, or undefined. */
export async function findChromium (): Promise<string | undefined> {
  for (const place of PLACES) {
    if (place !== undefined && await access(place).then(() => true, () => false)) return place
  }
  return undefined
}

export async function startBrowser (executablePath: string): Promise<Browser> {
  const { chromium } = await import('playwright-core')
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--headless', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync']
  })
}

/** A script with the package inside, as a bundler of an app makes it. */
export async function bundle (contents: string, alias: Record<string, string>): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: 'docs/examples', loader: 'tsx' },
    alias,
    bundle: true,
    write: false,
    format: 'esm',
    jsx: 'automatic',
    platform: 'browser',
    define: { 'process.env.NODE_ENV': '"production"' }
  })
  return outputFiles[0]!.text
}
