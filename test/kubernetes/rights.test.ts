/** The example's rights are the fewest: without any of them the log says which one is missing. */
import { describe, expect, test } from 'vitest';
import { get } from '../engine/support/http.ts';
import { freePorts } from '../support/free-ports.ts';
import { openKubeBed } from './support/kube-bed.ts';
import { type Rights, type Rule, readExampleRights } from './support/proxy-identity.ts';

/** What is only asked for when somebody else has written the same object at the same time; the contract's tests need it. */
const AFTER_CONFLICTS = ['get deployments', 'get statefulsets', 'get leases'];

const rights = await readExampleRights();
const cases = (['cluster', 'own'] as const)
  .flatMap((place) => rights[place].flatMap((rule) => listPairs(rule).map((pair) => ({ place, ...pair }))))
  .filter(({ verb, resource }) => !AFTER_CONFLICTS.includes(`${verb} ${resource}`));

interface Pair {
  readonly resource: string;
  readonly verb: string;
}

function listPairs({ resources, verbs }: Rule): readonly Pair[] {
  return resources.flatMap((resource) => verbs.map((verb) => ({ resource, verb })));
}

/** One rule for each pair, but for the one that is taken away. */
function without(rules: readonly Rule[], { resource, verb }: Pair): readonly Rule[] {
  return rules.flatMap((rule) =>
    listPairs(rule)
      .filter((pair) => pair.resource !== resource || pair.verb !== verb)
      .map((pair) => ({ apiGroups: rule.apiGroups, resources: [pair.resource], verbs: [pair.verb] })),
  );
}

describe.concurrent('a proxy that may not', () => {
  test.for(cases)('$verb $resource says so', async ({ place, resource, verb }, { onTestFinished }) => {
    const bed = await openKubeBed({ onTestFinished });
    const [port = 0, otherPort = 0] = await freePorts(2);
    const given: Rights = { ...rights, [place]: without(rights[place], { resource, verb }) };
    const identity = await bed.createIdentity({ rights: given });
    // Put to sleep at once, which has two replicas remembered, and then woken.
    const shape = { replicas: 2, ports: [{ port: 80 }] };
    const fields = { idle_timeout: '0', start_timeout: '3s' };
    await bed.createWorkload({
      name: 'app',
      ...shape,
      annotations: bed.annotations({ ...fields, ports: [`${port}:80`] }),
    });
    const others = bed.annotations({ ...fields, ports: [`${otherPort}:80`] });
    await bed.createWorkload({ name: 'set', ...shape, resource: 'statefulset', annotations: others });
    const namespaces = `${bed.namespace},${resource === 'namespaces' ? 'missing' : bed.namespace}`;
    const proxy = await bed.startProxy({ identity, env: { K8S_NAMESPACE: namespaces } });
    const missing = `cannot ${verb} resource "${resource}"`;
    if (verb === 'delete') proxy.signal('SIGTERM');
    // Nothing answers: its start fails, which is asked about.
    if (['pods', 'events'].includes(resource)) await get(port).catch(() => {});
    const line = await proxy.waitForLog(({ msg }) => msg.includes(missing), { timeoutMs: 20_000 });
    expect(line.msg).toMatch(new RegExp(`in the namespace "(${bed.namespace}|missing)"`));
  });
});
