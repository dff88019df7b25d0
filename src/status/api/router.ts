/** Finds what answers a request. Paths are templates as in OpenAPI: `/api/services/{name}/wake`. Pure. */
import { ApiRefusal } from './problem-answer.ts';

export interface Route<T> {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly operation: T;
}

export interface Found<T> {
  readonly operation: T;
  /** What stands for the template's names, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
}

/**
 * @param request.url path and query, as the request line has them. Each segment is decoded once, and is one segment whatever it
 * decodes to.
 * @throws {ApiRefusal} where nothing answers.
 */
export function findRoute<T>(
  routes: readonly Route<T>[],
  { method, url }: { readonly method: string; readonly url: string },
): Found<T> {
  const [path = '', ...rest] = url.split('?');
  const segments = path.split('/').map(decodeSegment);
  const matches = routes.flatMap((route) => {
    const params = matchTemplate(route.path.split('/'), segments);
    return params === undefined ? [] : [{ route, params }];
  });
  if (matches.length === 0) throw new ApiRefusal(404, describeMiss(routes, segments));
  const wanted = method === 'HEAD' ? 'GET' : method;
  const match = matches.find(({ route }) => route.method === wanted);
  if (match === undefined) {
    const allow = matches
      .map(({ route }) => (route.method === 'GET' ? 'GET, HEAD' : route.method))
      .join(', ');
    throw new ApiRefusal(405, `${path} takes ${allow}`, { headers: { allow } });
  }
  const query = new URLSearchParams(rest.join('?'));
  return { operation: match.route.operation, params: match.params, query };
}

function matchTemplate(
  template: readonly string[],
  segments: readonly string[],
): Readonly<Record<string, string>> | undefined {
  if (template.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of template.entries()) {
    const segment = segments[index] ?? '';
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    if (name === undefined ? part !== segment : segment === '') return undefined;
    if (name !== undefined) params[name] = segment;
  }
  return params;
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new ApiRefusal(400, 'the path has a % that begins no escape');
  }
}

function describeMiss(routes: readonly Route<unknown>[], segments: readonly string[]): string {
  const known = [...new Set(routes.map(({ path }) => path))].join(', ');
  const hint =
    segments[2] === 'services' && segments.length > 4
      ? '; a name with a slash is written with %2F, or as ?service=namespace/name'
      : '';
  return `there is ${known}${hint}`;
}
