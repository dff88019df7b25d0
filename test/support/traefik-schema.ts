/** What Traefik 3 documents of a dynamic configuration (https://doc.traefik.io/traefik/reference/routing-configuration/), as far as routers need it. */

const text = { type: 'string', minLength: 1 };
const some = (items: object) => ({ type: 'array', minItems: 1, items });
const closed = (properties: object, required: readonly string[] = []) => ({
  ...{ type: 'object', properties, required, additionalProperties: false },
});
/** Traefik refuses an empty one: "cannot be a standalone element". */
const named = (value: object) => ({ type: 'object', minProperties: 1, additionalProperties: value });
const domains = some(closed({ main: text, sans: some(text) }, ['main']));
const tls = { options: text, certResolver: text, domains };
const router = {
  ...{ entryPoints: some(text), middlewares: some(text), rule: text, service: text },
  ...{ priority: { type: 'integer', minimum: 1 }, ruleSyntax: text },
};
const services = (server: object) =>
  named(closed({ loadBalancer: closed({ servers: some(server) }, ['servers']) }, ['loadBalancer']));

export const TRAEFIK_SCHEMA = closed({
  http: closed({
    routers: named(closed({ ...router, tls: closed(tls) }, ['rule', 'service'])),
    services: services(closed({ url: { type: 'string', pattern: '^https?://[^/]+$' } }, ['url'])),
  }),
  tcp: closed({
    routers: named(
      closed({ ...router, tls: closed({ ...tls, passthrough: { type: 'boolean' } }) }, ['rule', 'service']),
    ),
    services: services(
      closed({ address: { type: 'string', pattern: '^(\\[.+\\]|[^:]+):\\d+$' } }, ['address']),
    ),
  }),
});
