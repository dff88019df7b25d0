/** How the list is shown: what is filtered, the order, groups. Kept in the tab. */
import { useMemo, useState } from 'preact/hooks';
import type { Look, SortKey } from './service/describe-service.ts';

export interface ViewState {
  readonly filter: string;
  /** Of this state alone. */
  readonly look: Look | undefined;
  readonly sort: SortKey;
  readonly isGrouped: boolean;
}

export interface View extends ViewState {
  change(change: Partial<ViewState>): void;
}

const KEY = 'lazy-proxy view';
const PLAIN: ViewState = { filter: '', look: undefined, sort: 'state', isGrouped: false };

export function useView(): View {
  const [state, setState] = useState(readState);
  return useMemo(() => {
    const change = (part: Partial<ViewState>) =>
      setState((before) => {
        const next = { ...before, ...part };
        keepState(next);
        return next;
      });
    return { ...state, change };
  }, [state]);
}

function readState(): ViewState {
  try {
    return { ...PLAIN, ...(JSON.parse(sessionStorage.getItem(KEY) ?? '{}') as Partial<ViewState>) };
  } catch {
    return PLAIN;
  }
}

function keepState({ sort, isGrouped }: ViewState): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ sort, isGrouped }));
  } catch {
    // A browser that keeps nothing shows it as at first.
  }
}
