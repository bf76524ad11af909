/**
 * What a command was given. On what it does not know it says so, prints its usage and ends with 2, as commands do.
 * @param parse calls parseArgs of node:util
 */
export function readArgs<T> (usage: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    const [sentence] = (error as Error).message.split('. ')
    process.stderr.write(`${sentence}.\n\n${usage}\n`)
    process.exit(2)
  }
}
