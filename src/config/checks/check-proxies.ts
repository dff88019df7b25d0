/** Whether what the file says of PROXY headers goes together. */
import { describeOrigin } from '../../model/origin.ts';
import type { Draft } from '../fields.ts';
import type { ReadService } from '../read/read-services.ts';
import type { SettingsDraft } from '../settings.ts';
import type { Path } from '../yaml/path.ts';
import type { LocateOrigin } from '../yaml/read-yaml.ts';
import { type Finding, valueError } from './finding.ts';

/** Why version 1 and UDP don't go together, in words that follow the value. */
export const V1_IS_FOR_TCP = 'v1 is for TCP alone, and cannot go with UDP ports; write v2';

/**
 * Finds services that take PROXY headers where nobody is trusted to send them, and those whose UDP clients would be told of by
 * version 1, which has no way for that.
 */
export function checkProxies(
  services: readonly ReadService[],
  {
    defaults,
    settings,
    locate,
  }: { readonly defaults: Draft; readonly settings: SettingsDraft; readonly locate: LocateOrigin },
): readonly Finding[] {
  const trusted = settings.trusted_proxies?.value;
  const isNobodyTrusted = !Array.isArray(trusted) || trusted.length === 0;
  const untrusting = (draft: Draft, path: Path) =>
    isNobodyTrusted && draft.accept_proxy_protocol?.value === true
      ? [valueError([...path, 'accept_proxy_protocol'], 'exclusive-keys', NOBODY_TRUSTED)]
      : [];
  const isUntrustedAtFronts = isNobodyTrusted && settings['http.accept_proxy_protocol']?.value === true;
  return [
    ...(isUntrustedAtFronts
      ? [valueError(['http', 'accept_proxy_protocol'], 'exclusive-keys', NOBODY_TRUSTED)]
      : []),
    ...untrusting(defaults, ['defaults']),
    ...services.flatMap(({ draft, path }) => untrusting(draft, path)),
    ...services.flatMap(({ draft, path }): readonly Finding[] => {
      const version = draft.proxy_protocol ?? defaults.proxy_protocol;
      if (version?.value !== 'v1' || (draft.udp_ports?.value ?? []).length === 0) return [];
      if (draft.proxy_protocol !== undefined)
        return [valueError([...path, 'proxy_protocol'], 'exclusive-keys', V1_IS_FOR_TCP)];
      const place = locate(['defaults', 'proxy_protocol'], 'value');
      const where = place === undefined ? '' : ` (${describeOrigin(place)})`;
      const message = `defaults.proxy_protocol is v1${where}, which is for TCP alone; write proxy_protocol: v2 beside them`;
      return [valueError([...path, 'udp_ports'], 'exclusive-keys', message)];
    }),
  ];
}

const NOBODY_TRUSTED =
  'true takes clients from proxies in front alone, and there are none; name them in trusted_proxies, such as [172.18.0.0/16]';
