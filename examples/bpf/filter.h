/* The program array through which the filter calls a policy. */
#pragma once

#include "bpf.h"

/*
 * The filter calls ENTRY for every packet; if the slot is empty, the packet passes. A chain's second
 * program is in SECOND or THIRD, by its generation: control puts the next chain's there while the old
 * chain still runs, and one update of ENTRY swaps the whole chain.
 */
enum { ENTRY = 0, SECOND = 1, THIRD = 2, SLOTS = 8 };

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
	__uint(max_entries, SLOTS);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} jmp_tc SEC(".maps");

static __always_inline void add(void *map, __u32 index, __u64 number)
{
	__u64 *value = bpf_map_lookup_elem(map, &index);

	if (value)
		__sync_fetch_and_add(value, number);
}
