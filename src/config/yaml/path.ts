import { showUrls } from '../../model/text/show-url.ts';

/** Steps from the root of the file to a value: keys of mappings and indexes of lists. */
export type Path = readonly (string | number)[];

/**
 * A path as messages show it: `ports[0]`, `defaults.idle_timeout`. Inside a service it starts at the service's field,
 * because the position already names the service; `''` for the root and for a service itself. Of a key that is a URL only
 * scheme and host are shown.
 */
export function formatPath(path: Path): string {
  const steps = path[0] === 'services' && path.length > 2 ? path.slice(2) : path;
  let text = '';
  for (const step of steps) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += `${text === '' ? '' : '.'}${showUrls(step)}`;
  }
  return text;
}
