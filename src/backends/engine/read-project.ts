/** What Compose, and `docker stack deploy`, write on whatever they make. */
const PROJECT_LABELS = ['com.docker.compose.project', 'com.docker.stack.namespace'];
/** Their names are short; a label that somebody else wrote may be anything. */
const MAX_CHARACTERS = 100;

/** The Compose project or the stack that a container or a Swarm service belongs to; undefined where its labels name none. Pure. */
export function readProject(labels: Readonly<Record<string, string>> | null | undefined): string | undefined {
  const project = PROJECT_LABELS.map((label) => labels?.[label]).find(
    (name) => name !== undefined && name !== '',
  );
  return project?.slice(0, MAX_CHARACTERS);
}
