import type { ContainerStats } from '../engine/engine-shapes.ts';

/**
 * The bytes of memory that a container takes, as `docker stats` shows them: without the files that the kernel keeps and would
 * drop. Undefined where the engine doesn't count, as for a container that doesn't run. Pure.
 */
export function readMemory({ memory_stats: memory }: ContainerStats): number | undefined {
  const { usage, stats } = memory ?? {};
  if (usage === undefined) return undefined;
  const droppable = stats?.inactive_file ?? stats?.total_inactive_file ?? 0;
  return droppable < usage ? usage - droppable : usage;
}
