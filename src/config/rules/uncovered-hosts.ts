import { isInDomains, isNameOf } from '../../model/web.ts';

const MAX_SHOWN = 5;

/**
 * Why nobody gets some hosts over HTTPS, in words that follow the field's name; undefined where there is a certificate for all of them.
 * It is apart from the other rules, since the check of a configuration's text doesn't know what is in the files of certificates.
 * @param options.names those that these files are for.
 */
export function describeUncovered(
  hosts: readonly string[],
  {
    names,
    selfSignedDomains: domains,
  }: { readonly names: readonly string[]; readonly selfSignedDomains: readonly string[] },
): string | undefined {
  const bare = hosts.filter(
    (host) => !isInDomains(host.replace(/^\*\./, ''), domains) && !names.some((name) => isNameOf(host, name)),
  );
  if (bare.length === 0) return undefined;
  const made = domains.length > 0 ? ', and none is made outside of http.self_signed_domains' : '';
  return `none of http.certificates is for ${bare.join(', ')}${made}, so nobody gets that over HTTPS; they are for ${showNames(names)}: add one, or a domain of your own to http.self_signed_domains`;
}

function showNames(names: readonly string[]): string {
  const left = names.length - MAX_SHOWN;
  if (names.length === 0) return 'no name at all';
  return `${names.slice(0, MAX_SHOWN).join(', ')}${left > 0 ? ` and ${left} more` : ''}`;
}
