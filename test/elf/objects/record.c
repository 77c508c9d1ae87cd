/*
 * What libbpf makes of an object on this machine's kernel, as JSON: its maps as the kernel has them, and
 * the programs' instructions as they were loaded, a map being named by its place among the maps.
 *
 *   cc -O2 -o /tmp/record test/elf/objects/record.c -lbpf && sudo /tmp/record test/elf/objects/sections.o
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LD_IMM64 0x18
#define MAPS 64

static int fds[MAPS], count;

static int place(int fd)
{
	for (int i = 0; i < count; i++)
		if (fds[i] == fd)
			return i;
	return -1;
}

static void hex(const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		printf("%02x", ((const unsigned char *)bytes)[i]);
}

static int is_frozen(int fd)
{
	char path[64], line[128];
	int frozen = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "frozen: %d", &frozen);
	fclose(file);
	return frozen;
}

static int slots(int fd, const struct bpf_map_info *info)
{
	int filled = 0;
	unsigned int id;

	if (info->value_size != sizeof(id) || info->key_size != sizeof(id))
		return 0;
	for (unsigned int i = 0; i < info->max_entries; i++)
		filled |= !bpf_map_lookup_elem(fd, &i, &id) << i;
	return filled;
}

static void map(struct bpf_map *map)
{
	struct bpf_map_info info = {};
	unsigned int size = sizeof(info), zero = 0;
	int fd = fds[count++] = bpf_map__fd(map);

	bpf_obj_get_info_by_fd(fd, &info, &size);
	printf("{\"name\":\"%s\",\"map_name\":\"%s\",\"map_type\":%u,\"key_size\":%u,\"value_size\":%u,"
	       "\"max_entries\":%u,\"map_flags\":%u,\"map_extra\":%llu,\"frozen\":%s",
	       bpf_map__name(map), info.name, info.type, info.key_size, info.value_size,
	       info.max_entries, info.map_flags, info.map_extra, is_frozen(fd) ? "true" : "false");
	if (bpf_map__is_internal(map)) {
		char *value = calloc(1, info.value_size);

		bpf_map_lookup_elem(fd, &zero, value);
		printf(",\"data\":\"");
		hex(value, info.value_size);
		printf("\"");
		free(value);
	} else if (info.type == BPF_MAP_TYPE_PROG_ARRAY || info.type == BPF_MAP_TYPE_ARRAY_OF_MAPS) {
		printf(",\"slots\":%d", slots(fd, &info));
	}
	printf("}");
}

static void program(struct bpf_program *program)
{
	size_t n = bpf_program__insn_cnt(program);
	struct bpf_insn *insns = malloc(n * sizeof(*insns));

	memcpy(insns, bpf_program__insns(program), n * sizeof(*insns));
	for (size_t i = 0; i < n; i++)
		if (insns[i].code == LD_IMM64 && (insns[i].src_reg == 1 || insns[i].src_reg == 2))
			insns[i].imm = place(insns[i].imm);
	printf("{\"name\":\"%s\",\"section\":\"%s\",\"type\":%d,\"attach\":%d,\"insns\":\"",
	       bpf_program__name(program), bpf_program__section_name(program),
	       bpf_program__type(program), bpf_program__expected_attach_type(program));
	hex(insns, n * sizeof(*insns));
	printf("\"}");
	free(insns);
}

int main(int argc, char **argv)
{
	struct bpf_object *object = bpf_object__open_file(argv[argc - 1], NULL);
	const char *comma = "";
	struct bpf_program *prog;
	struct bpf_map *each;

	if (!object || bpf_object__load(object))
		return 1;
	printf("{\"maps\":[");
	bpf_object__for_each_map(each, object) {
		printf("%s\n", comma);
		map(each);
		comma = ",";
	}
	printf("],\"progs\":[");
	comma = "";
	bpf_object__for_each_program(prog, object) {
		if (!bpf_program__autoload(prog))
			continue;
		printf("%s\n", comma);
		program(prog);
		comma = ",";
	}
	printf("]}\n");
	bpf_object__close(object);
	return 0;
}
