import { QueueStack } from "../queue_stack.ts";

/** BPF_MAP_TYPE_QUEUE (kernel/bpf/queue_stack_maps.c): pops the oldest element first. */

export class QueueMap extends QueueStack {
  protected override readonly newestFirst = false;
}
