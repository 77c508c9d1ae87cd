/*
 * The policies that the filter calls: single programs (allow, deny), and two generations of a chain of
 * two programs. No packet may go through one program of each generation.
 *
 * clang -O2 -g -target bpf -mcpu=v3 -c policy.c -o policy.o   (build.sh)
 */
#include "filter.h"

SEC("tc") int allow(struct __sk_buff *skb)
{
	return TC_ACT_OK;
}

SEC("tc") int deny(struct __sk_buff *skb)
{
	return TC_ACT_SHOT;
}

/* The verdict of a packet that went through programs of two generations. */
enum { TORN = 99 };

/* Counts the packets of each generation at the end of its chain; 0 counts the torn ones. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 3);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} chains SEC(".maps");

struct ethhdr {
	__u8 h_dest[6];
	__u8 h_source[6];
	__u16 h_proto;
};

enum { STAMP = 0, CLASS = 1 };
enum { OTHER = 0, IPV4 = 1 };

static __always_inline int is_ipv4(struct __sk_buff *skb)
{
	struct ethhdr *eth = (void *)(__u64)skb->data;

	if ((void *)(eth + 1) > (void *)(__u64)skb->data_end)
		return 0;
	return eth->h_proto == __builtin_bswap16(0x0800);
}

/* Stamps the packet with the chain's generation and its class. Drops it when the second program is missing. */
static __always_inline int classify(struct __sk_buff *skb, __u32 generation)
{
	skb->cb[STAMP] = generation;
	skb->cb[CLASS] = is_ipv4(skb) ? IPV4 : OTHER;
	bpf_tail_call(skb, &jmp_tc, generation % 2 ? SECOND : THIRD);
	return TC_ACT_SHOT;
}

/* The first generation passes all packets, the second IPv4 only. */
static __always_inline int verdict(struct __sk_buff *skb, __u32 generation)
{
	if (skb->cb[STAMP] != generation) {
		add(&chains, 0, 1);
		return TORN;
	}
	add(&chains, generation, 1);
	skb->mark = generation;
	return generation == 1 || skb->cb[CLASS] == IPV4 ? TC_ACT_OK : TC_ACT_SHOT;
}

SEC("tc") int classify_1(struct __sk_buff *skb)
{
	return classify(skb, 1);
}

SEC("tc") int verdict_1(struct __sk_buff *skb)
{
	return verdict(skb, 1);
}

SEC("tc") int classify_2(struct __sk_buff *skb)
{
	return classify(skb, 2);
}

SEC("tc") int verdict_2(struct __sk_buff *skb)
{
	return verdict(skb, 2);
}

char _license[] SEC("license") = "Dual MIT/GPL";
