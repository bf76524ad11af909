import type { IncomingMessage } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { PlainId } from '../../entities/fields.ts'
import type { Limits } from '../limits.ts'
import { Problem } from '../errors.ts'
import { assertIdentity } from '../plugins/body.ts'
import { tell, toProblem } from '../plugins/problems.ts'
import { EXPORT_FORMATS, type ExportFormat } from '../services/bookmarks/export/index.ts'
import { FORMATS, type ImportReport } from '../services/bookmarks/import/index.ts'
import { readFileBody } from './file-body.ts'
import { paramsOf, problems } from './schemas.ts'

/** How files are sent. What one is shows in what it holds, whatever it is called. */
const TYPES = new Set(['text/html', 'application/xhtml+xml', 'application/xml', 'text/xml',
  'application/xbel+xml', 'application/x-xbel', 'application/json', 'text/json', 'text/csv',
  'application/csv', 'text/tab-separated-values', 'application/vnd.ms-excel', 'text/plain', 'text/uri-list',
  'application/zip', 'application/x-zip-compressed', 'application/x-plist', 'application/octet-stream'])
const NDJSON = 'application/x-ndjson'
/** Entries of a report between two turns of the event loop. */
const PORTION = 500

const Told = Type.Array(
  Type.Object({
    line: Type.Optional(Type.Integer()),
    title: Type.String(),
    url: Type.Optional(Type.String()),
    reason: Type.String()
  }, { title: 'ImportRemark' })
)
const Count = (description: string) => Type.Integer({ description })
const Report = Type.Object({
  format: Type.Union(FORMATS.map((format) => Type.Literal(format))),
  encoding: Type.String(),
  dryRun: Type.Boolean(),
  created: Count('New bookmarks'),
  merged: Count('Existing bookmarks that got a tag, a description or an older date from the file'),
  unchanged: Count('Existing bookmarks to which the file added nothing'),
  again: Count('Entries that repeat the URL of an earlier entry in the same folder of the file'),
  folders: Type.Object({ created: Type.Integer(), existing: Type.Integer() }),
  refused: Told,
  adjusted: Told,
  ignored: Type.Record(Type.String(), Type.Integer(), {
    description: 'What the hub does not store (icons, visits ...), counted by its name in the file'
  })
}, { title: 'ImportReport' })

const EXAMPLES = {
  html:
    '<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL><p>\n<DT><A HREF="https://example.com/">Example</A>\n</DL><p>\n',
  xml: '<xbel version="1.0"><bookmark href="https://example.com/"><title>Example</title></bookmark></xbel>',
  json:
    '{"format":"sync-hub-bookmarks","version":1,"bookmarks":[{"url":"https://example.com/","title":"Example"}]}',
  csv: 'title,url\nExample,https://example.com/\n'
}
const exampleOf = (type: string) =>
  Object.entries(EXAMPLES).find(([name]) => type.endsWith(name))?.[1] ?? EXAMPLES.html
/** The hub reads the bytes itself: only described here. */
const FILES = {
  required: true,
  description: 'The file itself, not a form',
  content: Object.fromEntries(
    // A file of any kind may also be sent as bytes; what else these are called is in the list of types.
    ['text/html', 'application/xml', 'application/json', 'text/csv', 'application/octet-stream'].map((
      type
    ) => [type, { schema: { type: 'string', format: 'binary' }, example: exampleOf(type) }])
  )
}

interface ImportQuery {
  dryRun: boolean
  folderId?: string
  inert: 'keep' | 'refuse'
}

/** Bookmarks as files: those of browsers and services come in, and all go out again. */
export default async function bookmarkFiles (
  app: FastifyInstance,
  { limits }: { limits: Limits }
): Promise<void> {
  const tags = ['bookmarks']

  app.get<{ Querystring: { format: ExportFormat } }>('/bookmarks/export', {
    schema: {
      tags,
      params: paramsOf(app),
      operationId: 'exportBookmarks',
      summary: 'Export all bookmarks and folders as a file',
      description: 'The file is streamed, and can be imported again. On Lambda an answer has at most 6 MB.',
      querystring: Type.Object({
        format: Type.Optional(Type.Union(
          EXPORT_FORMATS.map((format) => Type.Literal(format)),
          {
            default: 'html',
            description:
              'Netscape HTML, which every browser imports; XBEL 1.0; or JSON with the records as the API returns them'
          }
        ))
      }, { additionalProperties: false }),
      response: {
        200: {
          description: 'The exported file',
          content: {
            'text/html': { schema: Type.String() },
            'application/xml': { schema: Type.String() },
            'application/json': {
              schema: Type.Object({
                format: Type.Literal('sync-hub-bookmarks'),
                version: Type.Integer(),
                bookmarks: Type.Array(Type.Unknown())
              }, { title: 'BookmarkFile', description: 'A file that can be imported again' })
            }
          }
        },
        ...problems
      }
    }
  }, async ({ query, space }, reply) => {
    const { type, name, pieces, release } = await space.bookmarks.exportFile(query.format)
    const file = Readable.from(pieces)
    file.once('close', release)
    // Who is gone before the first piece reads none.
    reply.raw.once('close', release)
    return reply.headers({
      'content-type': type,
      'content-disposition': `attachment; filename="${name}"`,
      'content-security-policy': 'sandbox'
    }).send(file)
  })

  // Files are taken as bytes, and here alone.
  await app.register(async (app) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser(
      '*',
      { bodyLimit: limits.importBytes },
      async (request: FastifyRequest, payload: IncomingMessage) => {
        assertIdentity(request)
        if (!TYPES.has(mediaTypeOf(request))) {
          throw new Problem(
            'UNSUPPORTED_MEDIA_TYPE',
            `Send the file itself, not a form, as ${[...TYPES].join(', ')}.`
          )
        }
        return readFileBody(payload, limits.importBytes)
      }
    )

    app.post<{ Body: Buffer | undefined, Querystring: ImportQuery }>(
      '/bookmarks/import',
      {
        bodyLimit: limits.importBytes,
        config: { bodyLimit: 'importBytes' },
        preParsing: async (request, reply) => {
          request.admitUpload(reply, limits.importBytes)
        },
        schema: {
          tags,
          params: paramsOf(app),
          operationId: 'importBookmarks',
          summary: 'Import a file of bookmarks',
          description:
            `Takes what browsers and services export. The hub recognises the format by the content of the file: Netscape HTML, XBEL 1.0, JSON of the hub's own export, backups of Firefox (.json, .jsonlz4), the file Bookmarks of Chrome, Safari's zip and plist, JSON of Pinboard, wallabag, Omnivore, Karakeep and Linkwarden, CSV of Pocket, Raindrop and Instapaper, any table with a column of URLs, and lists of URLs. A file has at most ${limits.importBytes} bytes (on Lambda 6 MB) and ${limits.importEntries} entries. The same URL in the same folder is one bookmark, so importing a file twice adds nothing. With Accept: ${NDJSON} the answer is a line {"progress":...} for each step, and {"result":...} or {"problem":...} as the last line.`,
          'x-request-body': FILES,
          querystring: Type.Object({
            dryRun: Type.Optional(
              Type.Boolean({ default: false, description: 'Write nothing, and report what would happen' })
            ),
            folderId: Type.Optional(
              Type.String({ ...PlainId, description: 'The folder to import into. The default is the root' })
            ),
            inert: Type.Optional(
              Type.Union([Type.Literal('refuse'), Type.Literal('keep')], {
                default: 'refuse',
                description:
                  'What happens to a bookmark whose URL is not allowed (javascript:, file:, about: ...): it is refused, or kept as a note with the URL as text'
              })
            )
          }, { additionalProperties: false }),
          response: {
            200: {
              description: 'What was imported, and what was not',
              content: { 'application/json': { schema: Report }, [NDJSON]: { schema: Type.String() } }
            },
            ...problems
          }
        }
      },
      async (request, reply) => {
        const { body, query: { dryRun, folderId, inert } } = request
        if (body === undefined || body.length === 0) {
          throw new Problem('MALFORMED_BODY', 'The body is empty; send a file.', {
            errors: [{ pointer: '', detail: 'is empty' }]
          })
        }
        const charset = /;\s*charset\s*=\s*"?([\w.:-]{1,40})/i.exec(request.headers['content-type'] ?? '')
          ?.[1]
        const file = { bytes: body, charset, dryRun, folderId, keepInert: inert === 'keep' }
        if (request.headers.accept?.includes(NDJSON) !== true) {
          return reply.type('application/json; charset=utf-8').send(
            Readable.from(piecesOf(await request.space.bookmarks.importFile(file)))
          )
        }
        // Who hangs up does not end an import: it goes on to its end without them.
        const lines = new PassThrough()
        const say = (line: object) => {
          if (!lines.destroyed) lines.write(`${JSON.stringify(line)}\n`)
        }
        const run = async () => {
          try {
            const report = await request.space.bookmarks.importFile(file, (progress) => {
              say({ progress })
            })
            if (!lines.destroyed) lines.write('{"result":')
            for (const piece of piecesOf(report)) if (!lines.destroyed) lines.write(piece)
            if (!lines.destroyed) lines.write('}\n')
          } catch (error) {
            say({ problem: tell(request, toProblem(error, request), error) })
          }
          lines.end()
        }
        void run()
        return reply.type(`${NDJSON}; charset=utf-8`).send(lines)
      }
    )
  })
}

const mediaTypeOf = ({ headers }: FastifyRequest) =>
  (headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase()

/** JSON of a report piece by piece: it may name 50,000 entries. */
function* piecesOf ({ refused, adjusted, ...report }: ImportReport): Generator<string> {
  yield JSON.stringify(report).slice(0, -1)
  for (const [name, all] of Object.entries({ refused, adjusted })) {
    yield `,"${name}":[`
    for (let from = 0; from < all.length; from += PORTION) {
      yield `${from === 0 ? '' : ','}${JSON.stringify(all.slice(from, from + PORTION)).slice(1, -1)}`
    }
    yield ']'
  }
  yield '}'
}
