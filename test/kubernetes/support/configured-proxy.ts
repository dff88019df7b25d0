import { createConfigFolder } from '../../engine/support/config-folder.ts';
import type { ProxyProcess } from '../../engine/support/proxy.ts';
import type { ServiceFields } from '../../engine/support/test-bed.ts';
import type { BedProxyOptions, KubeBed } from './kube-bed.ts';

/** A configuration file. */
export interface ConfigContent {
  readonly docker?: Readonly<Record<string, string | boolean | readonly string[]>>;
  readonly kubernetes?: Readonly<Record<string, string | boolean>>;
  readonly services?: Readonly<Record<string, ServiceFields>>;
}

/** As the bed's own, with a file that says more than services. */
export async function startConfiguredProxy(
  bed: KubeBed,
  options: Omit<BedProxyOptions, 'services'> & { readonly content: ConfigContent },
): Promise<ProxyProcess> {
  const { content, args = [], ...rest } = options;
  const files = await createConfigFolder(JSON.stringify(content));
  bed.atEnd(() => files.remove());
  return bed.startProxy({ ...rest, args: ['--config', files.configFile, ...args] });
}
