/** What components follow: the data, the address, the time. */
import { useEffect, useState } from 'preact/hooks';
import { nowMs, onEachSecond } from '../clock.ts';
import type { LiveData, Shown } from './live-data.ts';
import type { Steerer, Steering } from './steering.ts';

export function useShown(data: LiveData): Shown {
  const [shown, setShown] = useState(data.shown);
  useEffect(() => {
    setShown(data.shown);
    return data.subscribe(() => setShown(data.shown));
  }, [data]);
  return shown;
}

export function useSteering(steerer: Steerer): Steering {
  const [state, setState] = useState(steerer.state);
  useEffect(() => steerer.subscribe(() => setState(steerer.state)), [steerer]);
  return state;
}

const PREFIX = '#/service/';

/** The service that the address names, so that Back, bookmarks and links work. */
export function useChosenService(): string | undefined {
  const [chosen, setChosen] = useState(readChosen);
  useEffect(() => {
    const follow = () => setChosen(readChosen());
    window.addEventListener('hashchange', follow);
    return () => window.removeEventListener('hashchange', follow);
  }, []);
  return chosen;
}

export function addressOf(name: string): string {
  return `${PREFIX}${encodeURIComponent(name)}`;
}

/** Of the element that opens a service's details. */
export function rowId(name: string): string {
  return `service ${name}`;
}

function readChosen(): string | undefined {
  const { hash } = window.location;
  if (!hash.startsWith(PREFIX)) return undefined;
  try {
    return decodeURIComponent(hash.slice(PREFIX.length));
  } catch {
    return undefined;
  }
}

/** Ms since the epoch, drawn anew each second. */
export function useNow(): number {
  const [now, setNow] = useState(nowMs);
  useEffect(() => onEachSecond(() => document.hidden || setNow(nowMs())), []);
  return now;
}

/** A number that changes every half minute: for what says how long ago something was. */
export function useHalfMinute(): number {
  const [count, setCount] = useState(() => Math.floor(nowMs() / 30_000));
  useEffect(() => onEachSecond(() => setCount(Math.floor(nowMs() / 30_000))), []);
  return count;
}
