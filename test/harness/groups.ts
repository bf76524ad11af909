import type { Person } from './hub.ts'

/** A person, by the name that the hub knows. */
export interface Named {
  readonly user: string
  readonly person: Person
}

/** Founds a group. @returns its id */
export async function found (founder: Person, name = 'Team'): Promise<string> {
  const { status, body, text } = await founder.post('/v1/groups', { name })
  if (status !== 201) throw new Error(text)
  return body.id as string
}

/** Lets someone in: an invitation by an owner, and its acceptance. */
export async function join (
  owner: Person,
  groupId: string,
  { user, person }: Named,
  role = 'editor'
): Promise<void> {
  for (
    const answer of [await owner.post(`/v1/groups/${groupId}/invitations`, { userId: user, role }),
      await person.post(`/v1/invitations/${groupId}/accept`, undefined)]
  ) if (answer.status >= 300) throw new Error(answer.text)
}
