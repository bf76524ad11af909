/**
 * A bug that someone could make: which promise it breaks, where, what it changes, and the suite that must
 * notice.
 */
export interface Mutant {
  readonly promise: Promised
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
  readonly suite: string
}

/**
 * Where the text of a planted bug stands in a source: white space does not count, so that a formatter may move it.
 * @returns the places, of which there has to be exactly one
 */
export function placesOf (find: string, source: string): { readonly from: number, readonly to: number }[] {
  const tokens = find.match(/\w+|[^\w\s]/g) ?? []
  const pattern = tokens.map((token) => token.replace(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`)).join(
    String.raw`\s*`
  )
  const matches = source.matchAll(new RegExp(pattern, 'g'))
  return Array.from(matches, ({ index, 0: text }) => ({ from: index, to: index + text.length }))
}

export const PROMISES = ['writes', 'changes', 'fidelity', 'isolation', 'secrecy', 'load'] as const
export type Promised = (typeof PROMISES)[number]

const PLAN = 'src/engine/plan.ts'
const ROWS = 'src/engine/rows.ts'
const WRITER = 'src/engine/writer.ts'
const TENANT = 'src/plugins/tenant.ts'
const WALK = 'src/engine/read-changes.ts'
const PULL = 'src/services/sync/pull.ts'
const SNAPSHOT = 'src/engine/snapshot.ts'
const STAGED = 'src/engine/staged.ts'
const SERVICES = 'src/plugins/services.ts'
const TOKEN = 'src/plugins/auth/token.ts'
const TEMPLATE = 'template.yaml'
const MEMBERSHIPS = 'src/services/memberships.ts'
const SIDES = 'src/services/groups/membership-writes.ts'
const SESSIONS = 'src/services/sessions.ts'
const PAIRINGS = 'src/operations/pairings.ts'

export const MUTANTS: readonly Mutant[] = [
  // The contract
  {
    promise: 'fidelity',
    name: 'a method that a path does not take looks like a path that there is not',
    suite: 'contract',
    file: 'src/plugins/not-found.ts',
    find: 'if (methods.size === 0 || methods.has(method)) {',
    replace: 'if (methods.size >= 0) {'
  },
  {
    promise: 'fidelity',
    name: "what is wrong with the id in a push is pointed to as a PUT's",
    suite: 'contract',
    file: 'src/services/sync/changes.ts',
    find: "pointer.startsWith('params/')",
    replace: "pointer.startsWith('never/')"
  },
  // Rights that end
  {
    promise: 'secrecy',
    name: 'a suspended tenant stays public',
    suite: 'groups-end',
    file: 'src/services/public-settings.ts',
    find: 'rows.filter((row) => active.get(tenants.get(row)!))',
    replace: 'rows.filter((row) => active.has(tenants.get(row)!))'
  },
  {
    promise: 'secrecy',
    name: 'a group that ends stays published',
    suite: 'groups-end',
    file: 'src/services/groups/closing.ts',
    find: 'content: { ...content, isPublic: false,',
    replace: 'content: { ...contentOf(row),'
  },
  {
    promise: 'secrecy',
    name: 'something is published in a group that ends',
    suite: 'groups-end',
    file: 'src/engine/closed.ts',
    find: 'if (closedAt !== undefined && closing === undefined && puts)',
    replace: 'if (closedAt !== undefined && closing === undefined && puts && changes.length > 98)'
  },
  {
    promise: 'writes',
    name: 'what was in a group that ended stays for good',
    suite: 'groups-end',
    file: 'src/engine/expire.ts',
    find: 'some.push(row)',
    replace: "if (definition.resource !== 'bookmark') some.push(row)"
  },
  {
    promise: 'writes',
    name: 'HEAD of a group that ended stays for good',
    suite: 'groups-end',
    file: 'src/engine/closed.ts',
    find: "if (closing === 'ends') return { expiresAt }",
    replace: "if (closing === 'ends') return {}"
  },
  {
    promise: 'isolation',
    name: 'one person fills another with invitations',
    suite: 'invitations',
    file: 'src/services/groups/invitations.ts',
    find: 'filter(({ invitedBy }) => invitedBy === userId)',
    replace: 'filter(({ invitedBy }) => invitedBy === id)'
  },
  {
    promise: 'isolation',
    name: 'who is blocked at that moment gets in',
    suite: 'invitations',
    file: 'src/services/groups/invitations.ts',
    find: "{ definition: KIND.block, id: userId, act: 'check', content: {} }",
    replace: ''
  },
  {
    promise: 'isolation',
    name: 'a batch goes on for who may no longer',
    suite: 'rights',
    file: 'src/engine/staged.ts',
    find: 'number === 1 ? undefined : await endOfRight(job)',
    replace: 'undefined as Awaited<ReturnType<typeof endOfRight>>'
  },
  {
    promise: 'isolation',
    name: 'a batch begins for who may no longer',
    suite: 'rights',
    file: 'src/engine/staged.ts',
    find: 'await job.assertAllowed?.()',
    replace: ''
  },
  {
    promise: 'isolation',
    name: 'an import goes on for who is in the group no more',
    suite: 'rights',
    file: 'src/services/memberships.ts',
    find: 'await context.assertAllowed() await allowed()',
    replace: 'await context.assertAllowed()'
  },
  // No lost write
  {
    promise: 'writes',
    name: 'HEAD moves whoever was first',
    suite: 'space-faults',
    file: ROWS,
    find: '.where(({ n, epoch }, { eq }) => `${eq(n, before.n)} AND ${eq(epoch, before.epoch)}`)',
    replace: ''
  },
  {
    promise: 'writes',
    name: 'a record is replaced whatever stands there',
    suite: 'space',
    file: ROWS,
    find: 'if (knownRev === undefined) return entity.create(row)',
    replace: 'if (knownRev === undefined) return entity.put(row)'
  },
  {
    promise: 'writes',
    name: 'acknowledged before it is written',
    suite: 'space-faults',
    file: WRITER,
    find: 'planned.push({ pending, plan: next })',
    replace: 'planned.push({ pending, plan: next }); pending.resolve(next.outcome)'
  },
  {
    promise: 'writes',
    name: 'If-Match is not looked at',
    suite: 'space',
    file: PLAN,
    find: 'ifMatch.includes(live.rev)',
    replace: 'true'
  },
  {
    promise: 'writes',
    name: 'a PATCH is not redone on the newer record',
    suite: 'space',
    file: PLAN,
    find: 'known[index]?.rev !== basedOn.rev',
    replace: 'known[index]?.rev === -1'
  },
  {
    promise: 'writes',
    name: 'memory alone refuses a write',
    suite: 'space',
    file: WRITER,
    find: 'if (pending.verify && planned.length === 0) pending.reject(error)',
    replace: 'if (pending.tries >= 0) pending.reject(error)'
  },
  {
    promise: 'writes',
    name: 'the quota is not looked at',
    suite: 'space',
    file: PLAN,
    find: '  assertQuota(head, next, rules.limits)\n',
    replace: ''
  },
  {
    promise: 'writes',
    name: 'the outcome is not kept under its Idempotency-Key',
    suite: 'records',
    file: PLAN,
    find: 'if (write.idempotency !== undefined) { puts',
    replace: 'if (write.idempotency === null) { puts'
  },
  // Never missing a change
  {
    promise: 'changes',
    name: 'a change is not in the log',
    suite: 'space',
    file: PLAN,
    find: 'ops: results.map(',
    replace: 'ops: results.filter(({ row }) => row.deletedAt === undefined).map('
  },
  {
    promise: 'changes',
    name: 'the log has holes',
    suite: 'space',
    file: PLAN,
    find: 'const n = head.n + 1',
    replace: 'const n = head.n + 2'
  },
  {
    promise: 'changes',
    name: 'a record does not carry the number of its change',
    suite: 'space',
    file: PLAN,
    find: 'rev: n, createdAt',
    replace: 'rev: n - 1, createdAt'
  },
  // Designs that miss changes, and what a reader could forget
  {
    promise: 'changes',
    name: "the cursor is HEAD's number",
    suite: 'sync-model',
    file: WALK,
    find: 'position: { epoch: head.epoch, n: found.n }',
    replace: 'position: { epoch: head.epoch, n: head.n }'
  },
  {
    promise: 'changes',
    name: 'the cursor is the highest revision seen',
    suite: 'sync-model',
    file: WALK,
    find: '    n = entry.n\n',
    replace: '    n = Math.max(entry.n, ...delivered.map(({ rev }) => rev))\n'
  },
  {
    promise: 'changes',
    name: 'the cursor is a time: updatedAt',
    suite: 'sync-model',
    file: WALK,
    find: `  for (const logged of await readLog(store, space, after + 1, head.n, limit)) {
    const entry = { ...logged, ops: logged.ops.filter((op) => isNews(op, logged.n)) }
    if (ops > 0 && ops + entry.ops.length > limit) break
    const expired = entry.expiresAt * 1000 <= now
    if (expired && entries.length === 0) throw new Expired()
    const unfinished = entry.batch !== undefined && entry.batch.id === head.lock?.batch
    if (expired || unfinished || entry.n !== after + 1 + entries.length) {`,
    replace: `  const since = after === 0 ? '' : (await readLog(store, space, after, after, 1))[0]?.at ?? ''
  const all = await readLog(store, space, after + 1, head.n, limit)
  for (const logged of all.filter(({ at }) => at > since)) {
    const entry = { ...logged, ops: logged.ops.filter((op) => isNews(op, logged.n)) }
    if (ops > 0 && ops + entry.ops.length > limit) break
    const expired = entry.expiresAt * 1000 <= now
    if (expired && entries.length === 0) throw new Expired()
    const unfinished = entry.batch !== undefined && entry.batch.id === head.lock?.batch
    if (expired || unfinished) {`
  },
  {
    promise: 'changes',
    name: 'a counter and a query above it: what is not visible yet is passed over',
    suite: 'sync-model',
    file: WALK,
    find: "if (row === undefined ? act !== 'delete' : row.rev < n) return undefined",
    replace: "if (row === undefined ? act !== 'delete' : row.rev < n) continue"
  },
  {
    promise: 'changes',
    name: 'the reader skips gaps',
    suite: 'sync-model',
    file: WALK,
    find: ' || entry.n !== after + 1 + entries.length',
    replace: ''
  },
  {
    promise: 'changes',
    name: 'a snapshot goes on from HEAD',
    suite: 'sync-model',
    file: SNAPSHOT,
    find: 'n: resting ? head.n : await lastSettled(store, space, head, now)',
    replace: 'n: resting || head.n > 0 ? head.n : await lastSettled(store, space, head, now)'
  },
  {
    promise: 'changes',
    name: 'a snapshot goes on where the log was swept',
    suite: 'sync',
    file: SNAPSHOT,
    find: 'if (settled !== undefined && settled.expiresAt * 1000 > now + SETTLED_MS) return',
    replace: 'if (settled !== undefined) return'
  },
  {
    promise: 'changes',
    name: 'who waits hears only of its own process',
    suite: 'sync-live',
    file: 'src/engine/watch.ts',
    find: 'for (const head of heads) advance(head, head.n)',
    replace: 'for (const head of heads) advance(head, 0)'
  },
  {
    promise: 'changes',
    name: 'a tombstone is purged before its log entry',
    suite: 'trash',
    file: PLAN,
    find: 'purgeAt: expiresAt + DAY_SECONDS',
    replace: 'purgeAt: Math.floor(Date.parse(at) / 1000) + DAY_SECONDS'
  },
  {
    promise: 'changes',
    name: 'a cursor expires by its age',
    suite: 'sync',
    file: WALK,
    find: '    const idle = { changes: [], position, more: false, bytes: 0 }\n',
    replace:
      '    const idle = { changes: [], position, more: false, bytes: 0 }\n    if (head !== undefined && now() - Date.parse(head.at) > 90 * 86_400_000) throw new Expired()\n'
  },
  {
    promise: 'changes',
    name: 'an entry that has expired is still read',
    suite: 'sync',
    file: WALK,
    find: 'const expired = entry.expiresAt * 1000 <= now',
    replace: 'const expired = entry.expiresAt * 1000 <= now && entry.n < 0'
  },
  {
    promise: 'changes',
    name: 'the epoch is not looked at',
    suite: 'sync',
    file: WALK,
    find: '(position.epoch !== 0 && position.epoch !== head.epoch) || ',
    replace: ''
  },
  {
    promise: 'changes',
    name: 'the parts of a batch are told of one by one',
    suite: 'batches',
    file: WALK,
    find: 'entry.batch !== undefined && entry.batch.id === head.lock?.batch',
    replace: 'entry.batch !== undefined && entry.n < 0'
  },
  {
    promise: 'changes',
    name: 'nobody finishes the commit of a process that died',
    suite: 'batches',
    file: STAGED,
    find: "if (shared.locks.isAlive(space, head.lock)) return 'held'",
    replace: "if (shared.locks.isAlive(space, head.lock) || head.lock.part > 0) return 'held'"
  },
  {
    promise: 'load',
    name: 'staged batches are not counted',
    suite: 'staging',
    file: 'src/engine/staging.ts',
    find: 'if (count > stagedBatches)',
    replace: 'if (count > stagedBatches && count < 0)'
  },
  {
    promise: 'load',
    name: 'bytes of staged batches are not counted',
    suite: 'staging',
    file: 'src/engine/staging.ts',
    find: 'if (bytes > stagedBytes)',
    replace: 'if (bytes > stagedBytes && bytes < 0)'
  },
  {
    promise: 'load',
    name: 'who stages at once through two processes is counted once',
    suite: 'staging',
    file: 'src/engine/batch-rows.ts',
    find: '.where(({ version }, { eq }) => eq(version, before.version))',
    replace: ''
  },
  {
    promise: 'load',
    name: 'parts of a batch stay when it is committed',
    suite: 'staging',
    file: STAGED,
    find: 'if (ended !== undefined || number === last) await discard(store, job.owner, job.batch)',
    replace: ''
  },
  {
    promise: 'writes',
    name: 'the sweep takes a batch that is being committed',
    suite: 'staging',
    file: 'src/engine/ledger.ts',
    find: "if (batch.state === 'writing') return batch.expiresAt <= now",
    replace: "if (batch.state === 'writing') return ends <= now"
  },
  {
    promise: 'writes',
    name: 'others write while a batch is committed',
    suite: 'batches',
    file: WRITER,
    find: "if (lock === 'free') return false",
    replace: "if (lock !== 'moved') return false"
  },
  {
    promise: 'writes',
    name: 'a batch is not rehearsed',
    suite: 'batches',
    file: STAGED,
    find: 'const rehearsed = await rehearse(job, locked, guarded, { rules, now })',
    replace: 'const rehearsed = await Promise.resolve(undefined as Rehearsed | undefined)'
  },
  {
    promise: 'writes',
    name: 'a batch writes what it read before an earlier step',
    suite: 'batches',
    file: 'src/engine/rehearsal.ts',
    find: 'if (!again) loaded.set',
    replace: 'loaded.set'
  },
  {
    promise: 'writes',
    name: 'a delete is lost where the record before it cannot be seen yet',
    suite: 'batches',
    file: 'src/engine/staged-steps.ts',
    find: 'return toChange(change, row) ?? absence(change, row)',
    replace: 'return toChange(change, row) ?? []'
  },
  {
    promise: 'writes',
    name: 'a transaction is measured by what is sent and not by what it writes',
    suite: 'batches',
    file: 'src/engine/weight.ts',
    find: "return act === 'check' ? 0",
    replace: "return act !== 'put' ? 0"
  },
  {
    promise: 'writes',
    name: 'all who edit one record at once get in the way of each other',
    suite: 'contention',
    file: 'src/engine/line.ts',
    find: 'const done = line.last.then(work)',
    replace: 'const done = work()'
  },
  {
    promise: 'writes',
    name: 'a wrong clock stamps what all others write after it',
    suite: 'clocks',
    file: 'src/engine/time.ts',
    find: 'isCredible(at, now) ? Math.max(now, Date.parse(at)) : now',
    replace: 'Math.max(now, Date.parse(at))'
  },
  {
    promise: 'writes',
    name: "the store's time is not asked for",
    suite: 'clocks',
    file: 'src/store/clock.ts',
    find: 'ahead = Math.abs(skew) > MAX_SKEW_MS ? skew : 0',
    replace: 'ahead = Math.abs(skew) > Infinity ? skew : 0'
  },
  {
    promise: 'changes',
    name: 'a time that no clock can have said decides where a snapshot goes on',
    suite: 'clocks',
    file: SNAPSHOT,
    find: 'isCredible(at, now)',
    replace: 'at !== String(now)'
  },
  {
    promise: 'writes',
    name: 'most of a space can be deleted by mistake',
    suite: 'sync',
    file: PLAN,
    find: 'if (guarded && count',
    replace: 'if (guarded && count < 0 && count'
  },
  {
    promise: 'isolation',
    name: 'a group is served to who left it',
    suite: 'sync',
    file: PULL,
    find: 'if (!members.has(name.slice(GROUP.length))) continue',
    replace: 'void members'
  },
  {
    promise: 'isolation',
    name: 'anyone may write to any group',
    suite: 'sync',
    file: MEMBERSHIPS,
    find:
      "const role = (await this.among([groupId])).get(groupId)\n      if (role === undefined) throw notFound('space')",
    replace: "void notFound\n      const role = (await this.among([groupId])).get(groupId) ?? 'editor'"
  },
  {
    promise: 'isolation',
    name: 'a sync cursor is bound to nobody',
    suite: 'sync',
    file: PULL,
    find: "JSON.stringify(['sync', space.tenantId, userId])",
    replace: "JSON.stringify(['sync', (void space, void userId)])"
  },
  // People and devices
  {
    promise: 'isolation',
    name: 'a viewer changes what is in a group',
    suite: 'groups',
    file: MEMBERSHIPS,
    find: "write: ['owner', 'editor'],",
    replace: "write: ['owner', 'editor', 'viewer'],"
  },
  {
    promise: 'isolation',
    name: 'an editor lets people in',
    suite: 'groups',
    file: MEMBERSHIPS,
    find: "manage: ['owner']",
    replace: "manage: ['owner', 'editor']"
  },
  {
    promise: 'isolation',
    name: 'anyone takes anyone out of a group',
    suite: 'groups',
    file: 'src/services/groups/members.ts',
    find: "if (id !== userId) assertMay(role, 'manage')",
    replace: 'void [assertMay, role, userId]'
  },
  {
    promise: 'isolation',
    name: 'an invitation that has expired lets in',
    suite: 'groups',
    file: 'src/services/groups/invitations.ts',
    find: 'expiresAt === undefined || Date.parse(expiresAt) <= now',
    replace: 'expiresAt === undefined || Date.parse(expiresAt) <= now / 2'
  },
  {
    promise: 'writes',
    name: 'the last owner may go',
    suite: 'groups',
    file: SIDES,
    find: 'if (after.owners < 1) {',
    replace: 'if (after.owners < 0) {'
  },
  {
    promise: 'writes',
    name: 'owners who go are not counted',
    suite: 'groups',
    file: SIDES,
    find: 'owners: -owners.length',
    replace: 'owners: 0 * owners.length'
  },
  {
    promise: 'writes',
    name: 'the two sides of a group are written one after the other',
    suite: 'groups',
    file: SIDES,
    find: 'return writer.commitAcross(writes)',
    replace:
      'return writes.reduce((done, write) => done.then(() => writer.commitAcross([write])), Promise.resolve(undefined as unknown as Outcome))'
  },
  {
    promise: 'writes',
    name: 'a change in two spaces is made on whatever stands there',
    suite: 'groups',
    file: 'src/engine/commit-across.ts',
    find:
      "if (refusals.slice(from, from += puts.length).slice(records).some((refusal) => refusal?.code === 'ConditionalCheckFailed')) throw new Superseded()",
    replace: 'if (puts.length < from + records) return outcome'
  },
  {
    promise: 'isolation',
    name: 'who is taken out while joining stays a member on the other side',
    suite: 'groups',
    file: SIDES,
    find:
      "if (there.some(({ id, state }) => !isLive((state === 'active' ? joined : invited).get(id)))) throw new Superseded()",
    replace: 'void Superseded'
  },
  {
    promise: 'isolation',
    name: 'a device that was signed out lets another in by its code',
    suite: 'sessions',
    file: 'src/plugins/pairing.ts',
    find: 'roles: [], sessionId })',
    replace: 'roles: [], sessionId: void sessionId })'
  },
  {
    promise: 'isolation',
    name: 'a device that was signed out is served',
    suite: 'sessions',
    file: SESSIONS,
    find: 'row === undefined || row.deletedAt !== undefined || Date.parse',
    replace: 'row === undefined || Date.parse'
  },
  {
    promise: 'isolation',
    name: 'a session never ends',
    suite: 'sessions',
    file: SESSIONS,
    find: 'Date.parse(row.expiresAt) <= now()',
    replace: 'Date.parse(row.expiresAt) <= 0'
  },
  {
    promise: 'isolation',
    name: 'a stream outlives its device',
    suite: 'sessions',
    file: 'src/routes/live.ts',
    find: 'await Promise.all([request.assertActive(), request.assertSignedIn()])',
    replace: 'await request.assertActive()'
  },
  {
    promise: 'isolation',
    name: 'an app password lets others in',
    suite: 'sessions',
    file: SERVICES,
    find: "identity.device.kind === 'app'",
    replace: "identity.device.kind === ('none' as string)"
  },
  {
    promise: 'isolation',
    name: 'a pairing code is good twice',
    suite: 'sessions',
    file: PAIRINGS,
    find: '      if (!won) throw pairingFailed()\n',
    replace: '      void won\n'
  },
  {
    promise: 'isolation',
    name: 'a pairing code may be guessed at for ever',
    suite: 'sessions',
    file: PAIRINGS,
    find: 'add({ tries: 1 }).where((attributes, { eq })',
    replace: 'add({ tries: 0 }).where((attributes, { eq })'
  },
  {
    promise: 'secrecy',
    name: 'a session shows the hash of its token',
    suite: 'sessions',
    file: 'entities/session.ts',
    find:
      'present: ({ id, name, platform, kind, expiresAt, rev, createdAt, updatedAt }) => ({ id, name, platform,',
    replace:
      'present: ({ id, name, platform, kind, expiresAt, rev, createdAt, updatedAt, tokenHash }) => ({ id, name, platform: `${platform} ${tokenHash}`,'
  },
  // Bookmarks
  {
    promise: 'writes',
    name: 'folders are not conditioned on those above',
    suite: 'bookmarks',
    file: 'src/services/bookmarks/placement.ts',
    find: '  return [...above].map((id): Change => {',
    replace: '  return [...above].slice(above.size).map((id): Change => {'
  },
  {
    promise: 'changes',
    name: 'the index does not follow the log',
    suite: 'bookmarks',
    file: 'src/services/bookmarks/model.ts',
    find: '  model.index?.add(record)\n',
    replace: ''
  },
  {
    promise: 'writes',
    name: 'a deleted folder leaves what is in its folders',
    suite: 'bookmarks',
    file: 'src/services/bookmarks/subtree.ts',
    find: 'for (const { id, kind } of all) {',
    replace: 'for (const { id, kind } of [...all].slice(all.length)) {'
  },
  {
    promise: 'changes',
    name: 'what changed stays in the index as it was',
    suite: 'bookmarks',
    file: 'src/services/bookmarks/search-index.ts',
    find: 'settled.documents[numbers.get(record)!] = undefined',
    replace: 'void record'
  },
  {
    promise: 'changes',
    name: 'a read model takes what it holds for the newest',
    suite: 'bookmarks',
    file: 'src/services/bookmarks/read-model.ts',
    find: '(model.records.get(id)?.rev ?? 0) < n)',
    replace: '!model.records.has(id))'
  },
  {
    promise: 'changes',
    name: 'a deletion is no news of what is not in the read model',
    suite: 'bookmarks',
    file: 'src/services/bookmarks/read-model.ts',
    find: "act === 'delete' || (model.records.get(id)?.rev ?? 0) < n)",
    replace: "act === 'delete' ? model.records.has(id) : (model.records.get(id)?.rev ?? 0) < n)"
  },
  {
    promise: 'load',
    name: 'long work never gives way',
    suite: 'search',
    file: 'src/turns.ts',
    find: 'owed = steps >= MOST_STEPS || performance.now() - since > SLICE_MS',
    replace: 'owed = false'
  },
  {
    promise: 'load',
    name: 'a search has any number of terms',
    suite: 'search',
    file: 'src/services/bookmarks/query.ts',
    find: 'if (count > MAX_TERMS) {',
    replace: 'if (count > 10 * MAX_TERMS) {'
  },
  {
    promise: 'load',
    name: 'a record is read again for each phrase',
    suite: 'search',
    file: 'src/services/bookmarks/query.ts',
    find: 'return sought.every((phrase) => read.some((words) => words.includes(phrase)))',
    replace:
      'return sought.every((phrase) => FIELDS.some((field) => { pace.due(texts[field].length / CHARACTERS_A_STEP); return ` ${inOrder(texts[field]).join(" ")} `.includes(phrase) }) || read.length === 0)'
  },
  {
    promise: 'load',
    name: 'a tenant may upload as much as there is room for',
    suite: 'heavy-work',
    file: 'src/services/heavy-work.ts',
    find: '(own > 0 && own + bytes > uploadBytes / 2)',
    replace: '(own > 0 && own + bytes > uploadBytes)'
  },
  {
    promise: 'load',
    name: 'uploads are read before they are admitted',
    suite: 'heavy-work',
    file: 'src/routes/bookmark-files.ts',
    find: 'request.admitUpload(reply, limits.importBytes)',
    replace: 'void [request, reply]'
  },
  {
    promise: 'load',
    name: 'an export that nobody reads any more keeps its place',
    suite: 'heavy-work',
    file: 'src/services/bookmarks/export/index.ts',
    find: 'release()\n        leave()',
    replace: 'release()'
  },
  {
    promise: 'load',
    name: 'what is held is not counted',
    suite: 'heavy-work',
    file: 'src/services/bookmarks/model-cache.ts',
    find: 'held += bytes',
    replace: 'held += 0 * bytes'
  },
  {
    promise: 'fidelity',
    name: 'scripts without spaces are searched by whole runs',
    suite: 'search',
    file: 'src/services/bookmarks/words.ts',
    find: 'if (isAscii(run) || !UNSPACED.test(run)) put(wordAt(index, run))',
    replace: 'if (isAscii(run) || run.length > 0) put(wordAt(index, run))'
  },
  {
    promise: 'writes',
    name: 'a refused write is not looked up under its key',
    suite: 'space-faults',
    file: 'src/engine/idempotency.ts',
    find: 'await settled(context, idempotency.key)',
    replace: 'undefined as Awaited<ReturnType<typeof settled>>'
  },
  {
    promise: 'fidelity',
    name: 'exported titles are not escaped',
    suite: 'bookmark-files',
    file: 'src/services/bookmarks/export/netscape.ts',
    find: '>${escaped(title)}</${element}>',
    replace: '>${title}</${element}>'
  },
  {
    promise: 'fidelity',
    name: 'refused entries are dropped silently',
    suite: 'bookmark-files',
    file: 'src/services/bookmarks/import/index.ts',
    find: "if (fate === 'refused') refused!.push(tell(entry, reason!))",
    replace: "if (fate === 'refused') void reason"
  },
  {
    promise: 'fidelity',
    name: 'an import takes any scheme',
    suite: 'bookmark-files',
    file: 'src/services/bookmarks/import/limits.ts',
    find: 'if (refusal !== undefined) return refusal',
    replace: 'void refusal'
  },
  {
    promise: 'fidelity',
    name: 'a plan reads the live copy',
    suite: 'bookmark-formats',
    file: 'src/services/bookmarks/import/plan.ts',
    find: '{ records: new Map(model.records), folders: new Set(model.folders) }',
    replace: 'model'
  },
  {
    promise: 'fidelity',
    name: 'a search is not remembered',
    suite: 'bookmark-formats',
    file: 'src/services/bookmarks/import/formats/scanner.ts',
    find: 'found.set(wanted, at)',
    replace: 'void found'
  },
  {
    promise: 'fidelity',
    name: 'no file is too small to be taken',
    suite: 'bookmark-formats',
    file: 'src/services/bookmarks/import/parse.ts',
    find: 'if (all.length === 0) throw',
    replace: 'if (all.length < 0) throw'
  },
  {
    promise: 'fidelity',
    name: 'what an archive holds is not bounded',
    suite: 'bookmark-formats',
    file: 'src/services/bookmarks/import/unpack/zip.ts',
    find: '{ maxOutputLength: Math.max(1, most) }',
    replace: '{}'
  },
  {
    promise: 'fidelity',
    name: 'a date of the hub itself is believed',
    suite: 'bookmark-formats',
    file: 'src/services/bookmarks/import/formats/netscape.ts',
    find: 'if (createdAt !== undefined) setTime(entry, createdAt, now)',
    replace: 'if (createdAt !== undefined) entry.createdAt = createdAt'
  },
  {
    promise: 'fidelity',
    name: 'a spoilt byte is not told',
    suite: 'bookmark-formats',
    file: 'src/services/bookmarks/import/parse.ts',
    find: 'if (spoilt) tellSpoilt(entry, encoding)',
    replace: 'void tellSpoilt'
  },
  {
    promise: 'fidelity',
    name: 'folders of one name become one',
    suite: 'bookmark-formats',
    file: 'src/services/bookmarks/import/plan-names.ts',
    find: "if (kind !== 'folder') return single.get(name)",
    replace: "if (single.has(name) || kind !== 'folder') return single.get(name)"
  },
  {
    promise: 'fidelity',
    name: 'a second title is dropped silently',
    suite: 'bookmark-formats',
    file: 'src/services/bookmarks/import/plan-draft.ts',
    find: 'if (draft.first !== undefined) tellWhatIsLost(draft.first, entry, merged)',
    replace: 'void tellWhatIsLost'
  },
  {
    promise: 'fidelity',
    name: 'a note becomes a link again',
    suite: 'bookmark-formats',
    file: 'src/services/bookmarks/exact.ts',
    find: "...kind === 'note' && { kind, url: undefined }",
    replace: "...kind === 'note' && { url: 'https://e.example/' }"
  },
  {
    promise: 'fidelity',
    name: 'JSON is as deep as it likes',
    suite: 'bookmark-formats',
    file: 'src/services/bookmarks/import/formats/json-walk.ts',
    find: 'if (frames.length === MAX_DEPTH) throw',
    replace: 'if (frames.length === Infinity) throw'
  },
  {
    promise: 'isolation',
    name: 'readModels are kept without their tenant',
    suite: 'bookmarks',
    file: 'src/services/bookmarks/read-model.ts',
    find: 'nameOf = (context: SpaceContext) => spaceName(context.space)',
    replace: "nameOf = (context: SpaceContext) => spaceName({ ...context.space, tenantId: '' })"
  },
  {
    promise: 'isolation',
    name: 'readModels are kept without their user',
    suite: 'bookmarks',
    file: 'src/services/bookmarks/read-model.ts',
    find: 'nameOf = (context: SpaceContext) => spaceName(context.space)',
    replace: "nameOf = (context: SpaceContext) => spaceName({ ...context.space, spaceId: '' })"
  },
  // Nothing silently changed
  {
    promise: 'fidelity',
    name: 'bodies are coerced',
    suite: 'hostile-input',
    file: 'src/app.ts',
    find: 'ajv({ coerceTypes: false, discriminator: true })',
    replace: 'ajv({ coerceTypes: true, discriminator: true })'
  },
  {
    promise: 'fidelity',
    name: 'JSON.parse reads bodies',
    suite: 'hostile-input',
    file: 'src/plugins/body.ts',
    find: 'parse(text, undefined, { parseNumber: exactNumber })',
    replace: '(void parse, void exactNumber, JSON.parse(text) as unknown)'
  },
  {
    promise: 'fidelity',
    name: 'a value is stored as DynamoDB numbers and maps would give it',
    suite: 'records',
    file: 'entities/setting.ts',
    find: 'value: JSON.stringify(value)',
    replace:
      'value: JSON.stringify(value, (_, part: unknown) => typeof part === "object" && part !== null && !Array.isArray(part) ? Object.fromEntries(Object.entries(part).sort()) : part)'
  },
  // Isolation
  {
    promise: 'isolation',
    name: 'keys are lower-cased',
    suite: 'entities',
    file: 'entities/fields.ts',
    find: "template: 'TENANT#${tenantId}#${spaceKind}#${spaceId}', casing: 'none'",
    replace: "template: 'TENANT#${tenantId}#${spaceKind}#${spaceId}', casing: 'lower'"
  },
  {
    promise: 'isolation',
    name: 'a cursor is bound to nobody',
    suite: 'records',
    file: 'src/engine/cursor.ts',
    find: '`cursor ${binding}`',
    replace: "(void binding, 'cursor')"
  },
  {
    promise: 'isolation',
    name: 'an unpublished setting stays public',
    suite: 'records',
    file: 'entities/setting.ts',
    find: 'row.isPublic === true && row.deletedAt === undefined',
    replace: 'row.isPublic !== undefined'
  },
  {
    promise: 'isolation',
    name: 'one tenant for tokens without one',
    suite: 'tokens',
    file: TENANT,
    find: "if (claimed === undefined || claimed === null || claimed === '') {",
    replace: "if (claimed === undefined) return 'default'\n  if (claimed === null || claimed === '') {"
  },
  {
    promise: 'isolation',
    name: 'a pool speaks for any tenant it names',
    suite: 'tokens',
    file: TENANT,
    find: 'claimed !== undefined && claimed !== tenant.fixed',
    replace: 'false'
  },
  {
    promise: 'isolation',
    name: 'tokens of any app client',
    suite: 'tokens',
    file: TOKEN,
    find: "typeof client !== 'string' || !clientIds.includes(client)",
    replace: "typeof client !== 'string'"
  },
  {
    promise: 'isolation',
    name: 'id tokens pass as access tokens',
    suite: 'tokens',
    file: TOKEN,
    find: 'if (use !== tokenUse)',
    replace: 'if (use === undefined)'
  },
  {
    promise: 'fidelity',
    name: 'a kind of row that no registry knows',
    suite: 'sessions',
    file: 'entities/index.ts',
    find: "inSpace(SessionSeen, 'expiring'),",
    replace: ''
  },
  {
    promise: 'isolation',
    name: 'a key that is there twice is taken',
    suite: 'keys',
    file: 'src/plugins/auth/key-source.ts',
    find: '.length === 1\n  const getJwks',
    replace: '.length > 0\n  const getJwks'
  },
  {
    promise: 'isolation',
    name: 'a key set follows a redirect',
    suite: 'keys',
    file: 'src/plugins/auth/key-source.ts',
    find: "redirect: 'error'",
    replace: "redirect: 'follow'"
  },
  {
    promise: 'isolation',
    name: 'a withdrawn key is never noticed',
    suite: 'keys',
    file: 'src/plugins/auth/key-source.ts',
    find: 'const FRESH_MS = 600_000',
    replace: 'const FRESH_MS = 600_000_000'
  },
  {
    promise: 'isolation',
    name: 'one session for all tenants',
    suite: 'store',
    file: 'src/store/credentials.ts',
    find: 'let session = await sessions.fetch(name)',
    replace: "let session = await sessions.fetch(name && 'acme')"
  },
  {
    promise: 'isolation',
    name: "every request uses one tenant's store",
    suite: 'store',
    file: SERVICES,
    find: 'await stores.of(scope.tenantId)',
    replace: "await stores.of(scope.tenantId && 'acme')"
  },
  {
    promise: 'changes',
    name: 'a time-ordered page leaves out what was put off',
    suite: 'space-faults',
    file: ROWS,
    find: 'keys = unprocessed\n',
    replace: 'keys = unprocessed.slice(unprocessed.length)\n'
  },
  {
    promise: 'isolation',
    name: 'no closing # in the deny: tenant ab reaches abc when more is attached',
    suite: 'iam',
    file: TEMPLATE,
    find:
      "Resource: [!GetAtt Table.Arn, !Sub '${Table.Arn}/index/gsi1']\n                Condition:\n                  ForAnyValue:StringNotLike: { dynamodb:LeadingKeys: [!Sub 'TENANT#${!aws:PrincipalTag/tenant_id}', !Sub 'TENANT#${!aws:PrincipalTag/tenant_id}#*'] }",
    replace:
      "Resource: [!GetAtt Table.Arn, !Sub '${Table.Arn}/index/gsi1']\n                Condition:\n                  ForAnyValue:StringNotLike: { dynamodb:LeadingKeys: [!Sub 'TENANT#${!aws:PrincipalTag/tenant_id}*'] }"
  },
  {
    promise: 'isolation',
    name: 'no closing # in the allow',
    suite: 'template-roles',
    file: TEMPLATE,
    find:
      "at all: hence Null.\n                  ForAllValues:StringLike: { dynamodb:LeadingKeys: [!Sub 'TENANT#${!aws:PrincipalTag/tenant_id}', !Sub 'TENANT#${!aws:PrincipalTag/tenant_id}#*'] }",
    replace:
      "at all: hence Null.\n                  ForAllValues:StringLike: { dynamodb:LeadingKeys: [!Sub 'TENANT#${!aws:PrincipalTag/tenant_id}*'] }"
  },
  {
    promise: 'isolation',
    name: 'the tenant may scan',
    suite: 'template-roles',
    file: TEMPLATE,
    find: 'Sid: S1OwnRows\n                Effect: Allow\n                Action: [',
    replace: 'Sid: S1OwnRows\n                Effect: Allow\n                Action: [dynamodb:Scan, '
  },
  {
    promise: 'isolation',
    name: 'ForAllValues in place of ForAnyValue in the deny',
    suite: 'iam',
    file: TEMPLATE,
    find:
      "Resource: [!GetAtt Table.Arn, !Sub '${Table.Arn}/index/gsi1']\n                Condition:\n                  ForAnyValue:",
    replace:
      "Resource: [!GetAtt Table.Arn, !Sub '${Table.Arn}/index/gsi1']\n                Condition:\n                  ForAllValues:"
  },
  {
    promise: 'isolation',
    name: 'calls without keys are not denied',
    suite: 'iam',
    file: TEMPLATE,
    find: 'Sid: S5NothingWithoutKeys\n                Effect: Deny',
    replace: 'Sid: S5NothingWithoutKeys\n                Effect: Allow'
  },
  {
    promise: 'isolation',
    name: 'sessions without a tenant are not denied',
    suite: 'template-roles',
    file: TEMPLATE,
    find: "Sid: S6NothingWithoutTenant\n                Effect: Deny\n                Action: '*'",
    replace: "Sid: S6NothingWithoutTenant\n                Effect: Deny\n                Action: 'nothing:*'"
  },
  {
    promise: 'isolation',
    name: 'anyone in the account may become a tenant',
    suite: 'template-roles',
    file: TEMPLATE,
    find:
      "Description: One tenant's rows, by the session tag tenant_id\n      MaxSessionDuration: 3600\n      AssumeRolePolicyDocument:\n        Version: '2012-10-17'\n        Statement:\n          - Effect: Allow\n            Principal: { AWS: !GetAtt ApiRole.Arn }",
    replace:
      "Description: One tenant's rows, by the session tag tenant_id\n      MaxSessionDuration: 3600\n      AssumeRolePolicyDocument:\n        Version: '2012-10-17'\n        Statement:\n          - Effect: Allow\n            Principal: { AWS: !Ref AWS::AccountId }"
  },
  {
    promise: 'isolation',
    name: "the process's own credentials in place of the tenant's",
    suite: 'store',
    file: 'src/store/credentials.ts',
    find: 'open(config, await assume(name))',
    replace: '(await assume(name), open({ ...config, local: true }))'
  },
  {
    promise: 'isolation',
    name: 'a session without its tag',
    suite: 'store',
    file: 'src/store/credentials.ts',
    find: ", Tags: [{ Key: 'tenant_id', Value: name }]",
    replace: ''
  },
  {
    promise: 'isolation',
    name: 'an entity shared through a Service',
    suite: 'architecture',
    file: ROWS,
    find:
      '  const { data } = await definition.entity.get({ ...space, id }).go({ ...store, consistent: true })',
    replace:
      "  const { Service } = await import('electrodb')\n  void new Service({ shared: definition.entity }, store)\n  const { data } = await definition.entity.get({ ...space, id }).go({ consistent: true })"
  },
  {
    promise: 'isolation',
    name: 'what the store denies is an empty answer',
    suite: 'operations',
    file: 'src/plugins/problems.ts',
    find:
      "if (failure === 'denied') return new Problem('UNAUTHORIZED_ACCESS', 'You may not read or write this.')",
    replace: "if (failure === 'denied') return new Problem('NOT_FOUND', 'There is nothing here.')"
  },
  {
    promise: 'isolation',
    name: 'a suspended tenant is let in',
    suite: 'operations',
    file: 'src/operations/index.ts',
    find: "=== 'suspended'",
    replace: "=== ('closed' as string)"
  },
  {
    promise: 'isolation',
    name: 'a pairing link leads to whatever host a caller wrote',
    suite: 'contract',
    file: 'src/routes/sessions.ts',
    find: '...publicUrl !== undefined && { hub: publicUrl }',
    replace: 'hub: `http://${request.host}`'
  },
  {
    promise: 'isolation',
    name: 'a policy variable that nothing fills makes a Deny apply',
    suite: 'iam',
    file: 'src/local/iam/policy.ts',
    find: 'if (variables.some((name) => !context[name]?.[0])) return undefined',
    replace: 'if (variables.some((name) => !context[name]?.[0])) return false'
  },
  {
    promise: 'isolation',
    name: 'the gateway asks nothing about calls that name nothing',
    suite: 'iam',
    file: 'src/local/iam/requests.ts',
    find: 'return intents.length > 0 ? intents :',
    replace: 'return intents.length >= 0 ? intents :'
  },
  {
    promise: 'isolation',
    name: 'the scope of the last request is kept in the plugin',
    suite: 'deep/interleaving',
    file: TENANT,
    find: '    request.log = reply.log = request.log.child({ tenantId: request.scope.tenantId })\n  })\n',
    replace:
      "    last = request.scope\n    request.log = reply.log = request.log.child({ tenantId: request.scope.tenantId })\n  })\n  let last: Scope | null = null\n  app.addHook('preHandler', async (request) => { if (request.scope !== null) request.scope = last })\n"
  },
  {
    promise: 'isolation',
    name: 'services are made from a scope that all requests share',
    suite: 'deep/interleaving',
    file: SERVICES,
    find: 'createServices(shared, scope, await stores.of(scope.tenantId), asked)',
    replace:
      '{ Object.assign(shared, { last: scope }); const store = await stores.of(scope.tenantId); return createServices(shared, (shared as unknown as { last: Scope }).last, store, asked) }'
  },
  {
    promise: 'isolation',
    name: 'one Services object for everybody',
    suite: 'deep/interleaving',
    file: SERVICES,
    find: 'request.services = await app.servicesOf(',
    replace:
      'request.services = (shared as unknown as { services: Services }).services ??= await app.servicesOf('
  },
  {
    promise: 'isolation',
    name: 'the writer remembers spaces without their tenant',
    suite: 'deep/interleaving',
    file: WRITER,
    find: 'const key = spaceName(space)',
    replace: "const key = spaceName({ ...space, tenantId: '' })"
  },
  {
    promise: 'isolation',
    name: 'the writer remembers spaces without their user',
    suite: 'deep/interleaving',
    file: WRITER,
    find: 'const key = spaceName(space)',
    replace: "const key = spaceName({ ...space, spaceId: '' })"
  },
  {
    promise: 'isolation',
    name: 'running Idempotency-Keys are remembered without their tenant',
    suite: 'deep/interleaving',
    file: 'src/engine/idempotency.ts',
    find: '`${spaceName(space)}#',
    replace: "`${spaceName({ ...space, tenantId: '' })}#"
  },
  {
    promise: 'isolation',
    name: 'running Idempotency-Keys are remembered without their user',
    suite: 'deep/interleaving',
    file: 'src/engine/idempotency.ts',
    find: '`${spaceName(space)}#',
    replace: "`${spaceName({ ...space, spaceId: '' })}#"
  },
  {
    promise: 'isolation',
    name: 'public ids do not depend on whose setting it is',
    suite: 'deep/interleaving',
    file: 'src/services/settings.ts',
    find: "['public setting', space, id]",
    replace: "['public setting', (void space, id)]"
  },
  {
    promise: 'isolation',
    name: 'a cursor is only encoded',
    suite: 'matrix',
    file: 'src/engine/cursor.ts',
    find: "not a cursor of this list' }] })\n      }\n    }\n",
    replace:
      "not a cursor of this list' }] })\n      }\n    },\n    ...{ seal: (_: string, position: unknown) => Buffer.from(JSON.stringify(position)).toString('base64url'), open: (_: string, text: string) => JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown }\n"
  },
  {
    promise: 'isolation',
    name: 'a row is read under a wrong key, and not looked at',
    suite: 'matrix',
    file: ROWS,
    find:
      'await definition.entity.get({ ...space, id }).go({ ...store, consistent: true })\n  return data === null ? undefined : assertOwn(space, data as Row)',
    replace:
      'await definition.entity.get({ ...space, spaceId: space.spaceId.toLowerCase(), id }).go({ ...store, consistent: true })\n  return data === null ? undefined : data as Row'
  },
  {
    promise: 'isolation',
    name: 'tenant ids are lower-cased',
    suite: 'matrix',
    file: TENANT,
    find: '  return grammatical(claimed)\n',
    replace: '  return grammatical(String(claimed).toLowerCase())\n'
  },
  {
    promise: 'isolation',
    name: 'a body names the keys of its row',
    suite: 'matrix',
    file: 'entities/setting.ts',
    find: 'value: JSON.stringify(value), isPublic })',
    replace: 'value: JSON.stringify(value), isPublic, ...value as object })'
  },
  {
    promise: 'isolation',
    name: 'a body names the index partition of its row',
    suite: 'matrix',
    file: 'src/services/settings.ts',
    find: 'derive: (id, { isPublic }) => {',
    replace:
      'derive: (id, { isPublic, value }) => {\n      const { publicId: asked } = Object(value) as { publicId?: string }\n      if (isPublic === true && asked !== undefined) return { publicId: asked, publicShard: shardOf(asked) }'
  },
  {
    promise: 'isolation',
    name: 'a conflict shows a record that is remembered by its id alone',
    suite: 'matrix',
    file: 'src/services/collection.ts',
    find: 'preconditionFailed(plain, await read(change.id)) : error',
    replace:
      'preconditionFailed(plain, await (async () => { const rows = (context.running as unknown as { rows?: Map<string, Row> }).rows ??= new Map<string, Row>(); const row = rows.get(change.id) ?? await read(change.id); if (row !== undefined) rows.set(change.id, row); return row })()) : error'
  },
  {
    promise: 'isolation',
    name: 'any tenant may be asked for in a header',
    suite: 'matrix',
    file: TENANT,
    find: 'request.scope = scopeOf(request.identity)',
    replace:
      "request.scope = { ...scopeOf(request.identity), tenantId: request.headers['x-tenant-id'] as string ?? scopeOf(request.identity).tenantId }"
  },
  // No edit is lost on a device
  {
    promise: 'writes',
    name: 'a tab writes over what another has written',
    suite: 'deep/tabs',
    file: 'src/client/storage-store.ts',
    find: 'if (head().version !== from) return false',
    replace: ''
  },
  {
    promise: 'writes',
    name: 'a lock is taken for sight of what was written under it',
    suite: 'client/late-storage',
    file: 'src/client/tabs.ts',
    find: 'await marks.seen(() => lease.version())',
    replace: ''
  },
  {
    promise: 'writes',
    name: 'a write that did not fit stays half done',
    suite: 'client/stores',
    file: 'src/client/storage-store.ts',
    find: 'recover()\n      throw error',
    replace: 'throw error'
  },
  {
    promise: 'writes',
    name: 'each push of a mass delete is judged alone',
    suite: 'client/guard',
    file: 'src/client/guard.ts',
    find: 'if (records > GUARDED_RECORDS && going * 2 > records) return',
    replace: 'if (records < 0) return'
  },
  {
    promise: 'changes',
    name: 'every tab listens to the hub',
    suite: 'deep/tabs',
    file: 'src/client/lead.ts',
    find: 'const turn = medium.locks.request(`${medium.name} lead`, { signal }, () => work(signal))',
    replace: 'const turn = work(signal)'
  },
  {
    promise: 'changes',
    name: 'a token is sent until the hub refuses it',
    suite: 'client/network',
    file: 'src/client/token.ts',
    find: 'expiresAt = expires - MARGIN_MS > now() ? expires - MARGIN_MS : Infinity',
    replace: 'expiresAt = expires * Infinity'
  },
  {
    promise: 'changes',
    name: 'no answer never means a token that is over',
    suite: 'client/network',
    file: 'src/client/http.ts',
    find: 'if (!signal.aborted) bearer.doubt(held)',
    replace: ''
  },
  {
    promise: 'changes',
    name: 'a web app cannot read when to come again',
    suite: 'template-api',
    file: TEMPLATE,
    find: 'ExposeHeaders: [etag, location, retry-after, ratelimit, x-request-id]',
    replace: 'ExposeHeaders: [etag, location]'
  },
  // Nothing leaks
  {
    promise: 'secrecy',
    name: 'a 5xx says why',
    suite: 'space-faults',
    file: 'src/plugins/problems.ts',
    find: '...isTold ? { detail: problem.message } : {}',
    replace: 'detail: (cause as Error).message'
  },
  {
    promise: 'secrecy',
    name: 'the log has URLs',
    suite: 'logs',
    file: 'src/plugins/log.ts',
    find: "request.is404 ? 'none' : request.routeOptions.url",
    replace: 'request.url'
  },

  // Nobody stops the others
  {
    promise: 'load',
    name: 'a page of public settings is made for each who asks',
    suite: 'public-settings',
    file: 'src/routes/public-settings.ts',
    find: 'if (seconds === 0) return makePage',
    replace: 'if (seconds >= 0) return makePage'
  },
  {
    promise: 'load',
    name: 'a page of public settings is as large as its settings',
    suite: 'public-settings',
    file: 'src/services/public-settings.ts',
    find: 'if (bytes > PUBLIC_PAGE_BYTES && items.length > 0)',
    replace: 'if (bytes > PUBLIC_PAGE_BYTES * 40 && items.length > 0)'
  },
  {
    promise: 'load',
    name: 'caches keep a list of public settings twice as long',
    suite: 'public-settings',
    file: 'src/routes/public-settings.ts',
    find: 'Math.max(0, publicMaxAgeSeconds -',
    replace: 'Math.max(0, publicMaxAgeSeconds * 2 -'
  },
  {
    promise: 'load',
    name: 'all tenants stand in one line',
    suite: 'admission',
    file: 'src/plugins/admission/index.ts',
    find: '`tenant ${scope.tenantId}`',
    replace: '`tenant ${scope.tenantId.slice(0, 0)}`'
  },
  {
    promise: 'load',
    name: 'one tenant has all places',
    suite: 'admission',
    file: 'src/plugins/admission/index.ts',
    find: 'slotsPerKey: limits.requestsRunningPerTenant',
    replace: 'slotsPerKey: limits.requestsRunning'
  },
  {
    promise: 'load',
    name: 'as many wait as come',
    suite: 'admission',
    file: 'src/plugins/admission/index.ts',
    find: 'maxWaitingPerKey: limits.requestsWaitingPerTenant',
    replace: 'maxWaitingPerKey: limits.requestsWaiting'
  },
  {
    promise: 'load',
    name: 'large bodies are read as they come',
    suite: 'admission',
    file: 'src/plugins/admission/index.ts',
    find: 'else if (bytes > SMALL_BODY_BYTES) await turn.read()',
    replace: ''
  },
  {
    promise: 'load',
    name: 'whether it lives is told in turn',
    suite: 'admission',
    file: 'src/plugins/admission/index.ts',
    find: 'if (request.routeOptions.config.unqueued === true) {',
    replace: 'if (request.routeOptions.config.unqueued === (false as boolean)) {'
  },
  {
    promise: 'load',
    name: 'who hung up is served all the same',
    suite: 'admission',
    file: 'src/plugins/admission/turn.ts',
    find: 'closed.abort(gone)',
    replace: ''
  },
  {
    promise: 'load',
    name: 'who waits for changes keeps the place',
    suite: 'admission',
    file: 'src/plugins/admission/turn.ts',
    find: 'left.leave()',
    replace: ''
  },
  {
    promise: 'load',
    name: 'a late event loop refuses nobody',
    suite: 'admission',
    file: 'src/plugins/admission/index.ts',
    find: 'isLate() &&',
    replace: 'isLate() && limits.requestsRunning === 0 &&'
  },
  {
    promise: 'load',
    name: 'connections that wait are counted by user alone',
    suite: 'admission',
    file: 'src/engine/watch.ts',
    find: 'if (sent <= value) continue',
    replace: "if (sent <= value || limit !== 'connectionsPerUser') continue"
  },
  {
    promise: 'load',
    name: 'each stream reads the change-sets for itself',
    suite: 'shared-reads',
    file: 'src/engine/shared-reads.ts',
    find: 'if (known === undefined) return read()',
    replace: 'if (known !== -1) return read()'
  },
  {
    promise: 'load',
    name: 'memberships are read one by one',
    suite: 'shared-reads',
    file: 'src/engine/shared-reads.ts',
    find: 'const gathered = open.get(key) ?? gather(key, store, definition)',
    replace: 'const gathered = gather(key, store, definition)'
  },
  {
    promise: 'isolation',
    name: 'who follows is told what others of the tenant may read',
    suite: 'shared-reads',
    file: 'src/engine/shared-reads.ts',
    find: 'return places.flatMap((place) => rows.get(nameOf(place)) ?? [])',
    replace: 'return [...rows.values()]'
  },
  {
    promise: 'changes',
    name: 'who asks anew is told what others were told before',
    suite: 'shared-reads',
    file: 'src/engine/shared-reads.ts',
    find: 'if (known === undefined) return read()',
    replace:
      'const seen = kept.get(key)\n if (seen !== undefined) return seen\n if (known === undefined) return read()\n'
  }
]
