// SPDX-License-Identifier: MIT
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Programs that call global functions, and void functions; what Linux says of each is in func_type.test.ts. */

struct big {
	int words[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4);
} programs SEC(".maps");

static __noinline void tail(struct __sk_buff *skb) { bpf_tail_call(skb, &programs, 0); }

__noinline int last(struct big *big) { return big ? big->words[15] : 0; }

__noinline int past(struct big *big) { return big ? ((int *)big)[16] : 0; }

__noinline int unchecked(struct big *big) { return big->words[3]; }

__noinline int length(struct __sk_buff *skb) { return skb->len; }

__attribute__((visibility("hidden"))) __noinline int hidden(struct big *big) { return big->words[0]; }

__noinline int deep(int at)
{
	volatile char bytes[300];

	bytes[at & 255] = 1;
	return bytes[0];
}

__noinline int deeper(int at)
{
	volatile char bytes[280];

	bytes[at & 255] = 1;
	return deep(at) + bytes[1];
}

SEC("tc") int void_tail_call(struct __sk_buff *skb) { tail(skb); return 3; }

SEC("tc") int good(struct __sk_buff *skb)
{
	struct big big = { .words = { 1 } };

	return last(&big) + length(skb);
}

SEC("tc") int small(struct __sk_buff *skb)
{
	int word = 1;

	return last((void *)&word);
}

SEC("tc") int reads_past(struct __sk_buff *skb)
{
	struct big big = { .words = { 1 } };

	return past(&big);
}

SEC("tc") int reads_unchecked(struct __sk_buff *skb)
{
	struct big big = { .words = { 1 } };

	return unchecked(&big);
}

SEC("tc") int reads_hidden(struct __sk_buff *skb)
{
	struct big big = { .words = { 1 } };

	return hidden(&big);
}

SEC("tc") int no_context(struct __sk_buff *skb) { return length((void *)0); }

SEC("tc") int deepest(struct __sk_buff *skb) { return deeper(skb->len); }

char _license[] SEC("license") = "GPL";
