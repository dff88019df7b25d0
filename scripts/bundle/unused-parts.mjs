/** What packages load and the proxy never uses. */

const NAMESPACE = 'unused-part';

/**
 * By the package that asks for it, what is left out. dockerode serves as a client of the engine's API here, over a socket
 * or TCP: no engine is reached over ssh by it, no image is built, and its objects for containers and the like are not
 * used. pino writes in its own thread.
 * The Kubernetes client reads kubeconfig files; its classes for every kind of object are as big as everything else twenty times
 * over.
 * Of prom-client the registry is used, which writes the figures down.
 */
const UNUSED = {
  '@kubernetes/client-node': ['./gen/index.js', 'node-fetch'],
  'docker-modem': ['./ssh'],
  dockerode: [
    ...['./session', 'protobufjs', 'tar-fs', '@balena/dockerignore'],
    ...['./container', './image', './volume', './network', './service', './plugin', './secret', './config'],
    ...['./task', './node', './exec'],
  ],
  pino: ['thread-stream'],
  'prom-client': ['./lib/defaultMetrics', './lib/cluster', './lib/pushgateway', './lib/summary'],
};

/**
 * Leaves out what the table says: whoever calls it after all is told so.
 * @returns {import('esbuild').Plugin}
 */
export function leaveOutUnusedParts() {
  return {
    name: 'unused-parts',
    setup(build) {
      for (const [importer, parts] of Object.entries(UNUSED)) {
        const folder = `/node_modules/${importer}/`;
        build.onResolve({ filter: /./ }, ({ path: name, importer: file }) => {
          const isUnused = parts.includes(name) && file.replaceAll('\\', '/').includes(folder);
          return isUnused ? { path: `${importer} ${name}`, namespace: NAMESPACE } : undefined;
        });
      }
      build.onLoad({ filter: /.*/, namespace: NAMESPACE }, ({ path: what }) => ({
        contents: `module.exports = () => { throw new Error(${JSON.stringify(`${what} is left out of this build`)}); };`,
      }));
    },
  };
}
