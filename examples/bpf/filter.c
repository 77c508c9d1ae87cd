/*
 * Two classifiers, one for each direction: both count, then make a tail call through the program array.
 *
 * clang -O2 -g -target bpf -mcpu=v3 -c filter.c -o filter.o   (build.sh)
 */
#include "filter.h"

/* Counts the packets of both directions. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} map_sh SEC(".maps");

enum { INGRESS = 0, EGRESS = 1, DIRECTIONS = 2 };

struct counter {
	__u64 packets;
	__u64 bytes;
};

/* Counts by direction. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct counter);
	__uint(max_entries, DIRECTIONS);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} counters SEC(".maps");

static __always_inline int filter(struct __sk_buff *skb, __u32 direction)
{
	struct counter *counter = bpf_map_lookup_elem(&counters, &direction);

	if (counter) {
		__sync_fetch_and_add(&counter->packets, 1);
		__sync_fetch_and_add(&counter->bytes, skb->len);
	}
	add(&map_sh, 0, 1);
	bpf_tail_call(skb, &jmp_tc, ENTRY);
	return TC_ACT_OK;
}

SEC("tc") int ingress(struct __sk_buff *skb)
{
	return filter(skb, INGRESS);
}

SEC("tc") int egress(struct __sk_buff *skb)
{
	return filter(skb, EGRESS);
}

char _license[] SEC("license") = "Dual MIT/GPL";
