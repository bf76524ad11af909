import { integer, type Env } from './environment.ts'

/** What is bounded, by the names that errors and GET /v1/limits call it. */
export interface Limits {
  readonly bodyBytes: number
  readonly headerBytes: number
  readonly settingBytes: number
  readonly settingDepth: number
  readonly pageItems: number
  /** Operations in an answer to a pull. */
  readonly syncOperations: number
  /** Changes in a push. */
  readonly pushChanges: number
  /** Changes in one request that adds to a staged batch, in a whole batch, and bytes of their contents. */
  readonly appendedChanges: number
  readonly batchChanges: number
  readonly batchBytes: number
  /** Staged batches of a user that are neither committed nor abandoned, and bytes of their contents. */
  readonly stagedBatches: number
  readonly stagedBytes: number
  readonly spaceRecords: number
  readonly spaceBytes: number
  /**
   * Memory of a process for copies of bookmarks, their search indexes and exports that are read; and half as much
   * for uploads.
   */
  readonly memoryBytes: number
  /** Body of an import, and entries in it. */
  readonly importBytes: number
  readonly importEntries: number
  /** The pace that a body has to come at, at least, in bytes a second. */
  readonly uploadBytesPerSecond: number
  /** Requests a minute; 0 turns the limit off. */
  readonly requestsPerAddress: number
  readonly requestsPerTenant: number
  /** Connections that are open, in a process. */
  readonly connections: number
  /** Long polls and event streams at a time, in a process: all, of one tenant, of one user. */
  readonly connectionsWaiting: number
  readonly connectionsPerTenant: number
  readonly connectionsPerUser: number
  /** Requests that work side by side, and that wait for their turn, in a process. */
  readonly requestsRunning: number
  readonly requestsRunningPerTenant: number
  readonly requestsWaiting: number
  readonly requestsWaitingPerTenant: number
  /** An event loop that stood still for so long takes but a few requests of each tenant; 0 turns that off. */
  readonly eventLoopDelayMs: number
  /** Groups that a user is in, invitations to more, of these from one person, and people whom one blocks. */
  readonly userGroups: number
  readonly userInvitations: number
  readonly invitationsFromOne: number
  readonly userBlocks: number
  /** People in a group, and pending invitations to it. */
  readonly groupMembers: number
  readonly groupInvitations: number
  readonly invitationDays: number
  /** Sessions of a user, and how long they last. */
  readonly userSessions: number
  readonly sessionDays: number
  /**
   * How long a pairing code is good, how many wrong codes it survives, and how many codes an address may try
   * in a minute (0: no limit).
   */
  readonly pairingSeconds: number
  readonly pairingTries: number
  readonly claimsPerAddress: number
  /** Codes that a user may make, and changes to the people of groups, in a minute (0: no limit). */
  readonly pairingsPerUser: number
  readonly peopleChangesPerUser: number
}

/**
 * The limits of a hub, as the environment sets them.
 * @param local local mode, in which nobody's requests are counted unless the environment says so
 * @throws ConfigError naming the variable that is wrong
 */
export function limitsOf (env: Env, local: boolean): Limits {
  return {
    bodyBytes: integer(env, 'LIMIT_BODY_BYTES', 1_048_576, 1024, 6_000_000),
    headerBytes: 16_384,
    settingBytes: integer(env, 'LIMIT_SETTING_BYTES', 65_536, 1, 150_000),
    settingDepth: 16,
    pageItems: 100,
    syncOperations: 1000,
    pushChanges: 98,
    appendedChanges: 5000,
    batchChanges: 10_000,
    batchBytes: 33_554_432,
    stagedBatches: 10,
    stagedBytes: 67_108_864,
    spaceRecords: integer(env, 'LIMIT_SPACE_RECORDS', 50_000, 1, 10_000_000),
    spaceBytes: integer(env, 'LIMIT_SPACE_BYTES', 104_857_600, 1, 1e12),
    memoryBytes: integer(env, 'LIMIT_MEMORY_BYTES', 268_435_456, 1, 1e12),
    importBytes: integer(env, 'LIMIT_IMPORT_BYTES', 10_485_760, 1024, 104_857_600),
    importEntries: 50_000,
    uploadBytesPerSecond: integer(env, 'LIMIT_UPLOAD_BYTES_PER_SECOND', 16_384, 1, 1e9),
    requestsPerAddress: integer(env, 'LIMIT_REQUESTS_PER_ADDRESS', local ? 0 : 1200, 0, 1e9),
    requestsPerTenant: integer(env, 'LIMIT_REQUESTS_PER_TENANT', local ? 0 : 6000, 0, 1e9),
    connections: integer(env, 'LIMIT_CONNECTIONS', 2000, 1, 1_000_000),
    connectionsWaiting: integer(env, 'LIMIT_CONNECTIONS_WAITING', 1000, 1, 1_000_000),
    connectionsPerTenant: integer(env, 'LIMIT_CONNECTIONS_PER_TENANT', 500, 1, 1_000_000),
    connectionsPerUser: integer(env, 'LIMIT_CONNECTIONS_PER_USER', 20, 1, 10_000),
    requestsRunning: integer(env, 'LIMIT_REQUESTS_RUNNING', 48, 1, 10_000),
    requestsRunningPerTenant: integer(env, 'LIMIT_REQUESTS_RUNNING_PER_TENANT', 24, 1, 10_000),
    requestsWaiting: integer(env, 'LIMIT_REQUESTS_WAITING', 2000, 0, 1_000_000),
    requestsWaitingPerTenant: integer(env, 'LIMIT_REQUESTS_WAITING_PER_TENANT', 500, 0, 1_000_000),
    eventLoopDelayMs: integer(env, 'LIMIT_EVENT_LOOP_DELAY_MS', local ? 0 : 500, 0, 60_000),
    userGroups: 100,
    userInvitations: 100,
    invitationsFromOne: 10,
    userBlocks: 200,
    peopleChangesPerUser: integer(env, 'LIMIT_PEOPLE_CHANGES_PER_USER', local ? 0 : 120, 0, 1e9),
    groupMembers: integer(env, 'LIMIT_GROUP_MEMBERS', 500, 1, 10_000),
    groupInvitations: 100,
    invitationDays: 14,
    userSessions: 50,
    sessionDays: integer(env, 'LIMIT_SESSION_DAYS', 365, 1, 3650),
    pairingSeconds: 600,
    pairingTries: 5,
    pairingsPerUser: 20,
    claimsPerAddress: integer(env, 'LIMIT_CLAIMS_PER_ADDRESS', 30, 0, 1e9)
  }
}
