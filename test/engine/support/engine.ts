/** What a test makes on the engine, and its removal. */
import { randomBytes } from 'node:crypto';
import Docker from 'dockerode';
import { type ContainerSpec, type TestContainer, toCreateOptions, wrapContainer } from './container.ts';
import { engineAddress, engineHost, runLabels } from './engine-address.ts';
import { busyboxImage } from './image.ts';

/** Everything that a scope makes carries it; its value is the scope's prefix. */
export const SCOPE_LABEL = 'lazy-proxy-test.scope';

export interface NetworkSpec {
  /** The exact name; take one from `scope.name()`. */
  readonly name: string;
  /** Of IPv4, such as `198.18.70.0/24`; default: the engine's choice. */
  readonly subnet?: string;
  /** Makes it an IPv6 network too: a subnet such as `fd00:1::/64`. */
  readonly ipv6Subnet?: string;
  /** False: without IPv4, where the engine can do that (from 28 on). */
  readonly ipv4?: false;
}

export interface TestNetwork {
  readonly id: string;
  readonly name: string;
  connect(container: TestContainer): Promise<void>;
  disconnect(container: TestContainer): Promise<void>;
  /** Ids of the containers that are on it and run. */
  members(): Promise<string[]>;
  remove(): Promise<void>;
}

/** Everything a test file makes on the engine: under one prefix, removed by `cleanup`. */
export interface Scope {
  readonly docker: Docker;
  readonly prefix: string;
  /** A name of this scope's: `<prefix>-<name>`. */
  name(name: string): string;
  createContainer(spec: ContainerSpec): Promise<TestContainer>;
  /** Creates and starts. */
  runContainer(spec: ContainerSpec): Promise<TestContainer>;
  createNetwork(spec: NetworkSpec): Promise<TestNetwork>;
  /** An image made from another one by Dockerfile instructions (`HEALTHCHECK …`, `ENV …`, `CMD …`). */
  createImage(options: { readonly from: string; readonly changes: readonly string[] }): Promise<string>;
  /** Removes it all, however it was made, as long as it carries the scope's label. */
  cleanup(): Promise<void>;
}

/** @param options.host default: the engine under test. */
export function createScope(options: { readonly host?: string } = {}): Scope {
  const host = options.host ?? engineHost();
  const docker = new Docker(engineAddress(host));
  const prefix = `lpt-${randomBytes(4).toString('hex')}`;
  const labels = { ...runLabels(), [SCOPE_LABEL]: prefix };
  const images: string[] = [];

  async function createContainer(spec: ContainerSpec): Promise<TestContainer> {
    const image = spec.image ?? (await busyboxImage(host));
    const options = toCreateOptions(spec, { image, labels });
    const container = await docker.createContainer(options).catch(async (error) => {
      if (error.statusCode !== 409) throw error;
      // Left by the test's first try: names begin with the scope's own prefix.
      await docker.getContainer(spec.name).remove({ force: true });
      return docker.createContainer(options);
    });
    for (const network of spec.networks?.slice(1) ?? []) {
      await docker.getNetwork(network).connect({ Container: container.id });
    }
    return wrapContainer(container, spec.name);
  }

  return {
    docker,
    prefix,
    name: (name) => `${prefix}-${name}`,
    createContainer,
    async runContainer(spec) {
      const container = await createContainer(spec);
      await container.start();
      return container;
    },
    createNetwork: (spec) => createNetwork(docker, { ...spec, labels }),
    async createImage({ from, changes }) {
      const base = await createContainer({
        name: `${prefix}-base-${images.length}`,
        image: from,
        cmd: ['true'],
      });
      const image = `lazy-proxy-test/${prefix}:${images.length}`;
      await commitImage(docker.getContainer(base.id), { image, changes });
      images.push(image);
      return image;
    },
    cleanup: () => removeScope(docker, { prefix, images }),
  };
}

/** Makes an image of a container, which goes. */
async function commitImage(
  container: Docker.Container,
  { image, changes }: { readonly image: string; readonly changes: readonly string[] },
): Promise<void> {
  const [repo, tag] = image.split(':');
  await container.commit({ repo, tag, changes: changes.join('\n') });
  await container.remove();
}

async function createNetwork(
  docker: Docker,
  spec: NetworkSpec & { readonly labels: Record<string, string> },
): Promise<TestNetwork> {
  const subnets = [spec.subnet, spec.ipv6Subnet].filter((subnet) => subnet !== undefined);
  const network = await docker.createNetwork({
    Name: spec.name,
    Labels: spec.labels,
    ...(spec.ipv4 === false && { EnableIPv4: false }),
    ...(spec.ipv6Subnet && { EnableIPv6: true }),
    ...(subnets.length > 0 && { IPAM: { Config: subnets.map((Subnet) => ({ Subnet })) } }),
  });
  return {
    id: network.id,
    name: spec.name,
    connect: (container) => network.connect({ Container: container.id }),
    disconnect: (container) => network.disconnect({ Container: container.id, Force: true }),
    members: async () => Object.keys((await network.inspect()).Containers ?? {}),
    remove: () => network.remove(),
  };
}

async function removeScope(
  docker: Docker,
  { prefix, images }: { readonly prefix: string; readonly images: readonly string[] },
): Promise<void> {
  const filters = { label: [`${SCOPE_LABEL}=${prefix}`] };
  const containers = await docker.listContainers({ all: true, filters });
  await Promise.all(containers.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })));
  // Those that a container's specification named, without making them.
  const { Volumes } = await docker.listVolumes({ filters: { name: [prefix] } });
  for (const { Name } of Volumes ?? []) await docker.getVolume(Name).remove();
  const networks = await docker.listNetworks({ filters });
  for (const { Id } of networks) await removeNetwork(docker, Id);
  for (const image of images) await ignoreMissing(docker.getImage(image).remove({ force: true }));
}

/** What a test has removed itself needs no removal. */
async function ignoreMissing(removal: Promise<unknown>): Promise<void> {
  await removal.catch((error) => {
    if (error.statusCode !== 404) throw error;
  });
}

/** A network with somebody on it can't be removed, and the proxy under test may still sit there, or be about to leave. */
async function removeNetwork(docker: Docker, id: string): Promise<void> {
  const network = docker.getNetwork(id);
  const { Containers } = await network.inspect();
  for (const member of Object.keys(Containers ?? {})) {
    await ignoreMissing(network.disconnect({ Container: member, Force: true }));
  }
  await network.remove();
}
