// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "kernel/relocations.h"

#include <gelf.h>
#include <libelf.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* A helper that no kernel has; libbpf uses it for instructions that it cannot relocate. */
#define NO_SUCH_HELPER 195896080

/* The head of .BTF.ext (Documentation/bpf/btf.rst), all that is looked at here. */
struct ext_header {
	uint16_t magic;
	uint8_t version;
	uint8_t flags;
	uint32_t hdr_len;
	uint32_t func_info_off, func_info_len;
	uint32_t line_info_off, line_info_len;
	uint32_t core_relo_off, core_relo_len;
};

struct ext_section {
	uint32_t name; /* offset in BTF's strings */
	uint32_t n; /* records that follow */
};

struct relocation {
	uint32_t instruction; /* in bytes */
	uint32_t type, access, kind;
};

struct image {
	Elf *file;
	const char *strings; /* of .BTF */
	size_t strings_size;
};

/* NULL too if its bytes do not lie as its structs must. */
static Elf_Data *find_section(Elf *file, const char *name)
{
	Elf_Scn *section = NULL;
	Elf_Data *data;
	GElf_Shdr header;
	const char *found;
	size_t names;

	if (elf_getshdrstrndx(file, &names))
		return NULL;
	while ((section = elf_nextscn(file, section))) {
		if (!gelf_getshdr(section, &header))
			continue;
		found = elf_strptr(file, names, header.sh_name);
		if (!found || strcmp(found, name))
			continue;
		data = elf_rawdata(section, NULL);
		return data && !((uintptr_t)data->d_buf % 4) ? data : NULL;
	}
	return NULL;
}

static bool find_strings(struct image *image)
{
	Elf_Data *data = find_section(image->file, ".BTF");
	const struct btf_header *header;
	uint64_t start;

	if (!data || data->d_size < sizeof(*header))
		return false;
	header = data->d_buf;
	start = (uint64_t)header->hdr_len + header->str_off;
	if (header->magic != BTF_MAGIC || !header->str_len ||
	    start + header->str_len > data->d_size)
		return false;
	image->strings = (const char *)data->d_buf + start;
	image->strings_size = header->str_len;
	return true;
}

/* NULL if it does not end there, as it may not once code is written that lies over it. */
static const char *find_string(const struct image *image, uint32_t place)
{
	if (place >= image->strings_size ||
	    !memchr(image->strings + place, '\0', image->strings_size - place))
		return NULL;
	return image->strings + place;
}

static bool poison_instruction(Elf_Data *code, uint32_t offset, bool write)
{
	struct bpf_insn *insn = (struct bpf_insn *)((uint8_t *)code->d_buf + offset);
	const struct bpf_insn call = { .code = BPF_JMP | BPF_CALL, .imm = NO_SUCH_HELPER };
	size_t n;

	if (offset % sizeof(*insn) || (uint64_t)offset + sizeof(*insn) > code->d_size)
		return false;
	n = insn->code == (BPF_LD | BPF_IMM | BPF_DW) ? 2 : 1; /* 64-bit constants take two */
	if (offset + n * sizeof(*insn) > code->d_size)
		return false;
	for (size_t i = 0; write && i < n; i++)
		insn[i] = call;
	return true;
}

/* Without `write` only looks whether everything is as it should be. Returns the count or -1. */
static long poison_all(const struct image *image, const uint8_t *at, size_t left, bool write)
{
	const struct relocation *record;
	const struct ext_section *section;
	uint32_t record_size;
	const char *name;
	Elf_Data *code;
	long count = 0;

	if (left < sizeof(record_size))
		return -1;
	memcpy(&record_size, at, sizeof(record_size));
	if (record_size < sizeof(*record) || record_size % 4)
		return -1;
	at += sizeof(record_size);
	left -= sizeof(record_size);
	while (left) {
		section = (const struct ext_section *)at;
		if (left < sizeof(*section))
			return -1;
		name = find_string(image, section->name);
		at += sizeof(*section);
		left -= sizeof(*section);
		if (!name || (uint64_t)section->n * record_size > left)
			return -1;
		code = find_section(image->file, name);
		if (!code || !code->d_buf)
			return -1;
		for (uint32_t i = 0; i < section->n; i++, at += record_size, left -= record_size) {
			record = (const struct relocation *)at;
			if (!poison_instruction(code, record->instruction, write))
				return -1;
			count++;
		}
	}
	return count;
}

size_t relocations__poison(void *elf, size_t size)
{
	struct image image = { 0 };
	struct ext_header *header;
	uint64_t start;
	Elf_Data *ext;
	long count = 0;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return 0;
	image.file = elf_memory(elf, size);
	if (!image.file)
		return 0;
	ext = find_section(image.file, ".BTF.ext");
	if (!ext || ext->d_size < sizeof(*header) || !find_strings(&image))
		goto cleanup;
	header = ext->d_buf;
	start = (uint64_t)header->hdr_len + header->core_relo_off;
	if (header->magic != BTF_MAGIC || header->hdr_len < sizeof(*header) ||
	    !header->core_relo_len || start % 4 || start + header->core_relo_len > ext->d_size)
		goto cleanup;
	count = poison_all(&image, (uint8_t *)ext->d_buf + start, header->core_relo_len, false);
	if (count > 0) {
		poison_all(&image, (uint8_t *)ext->d_buf + start, header->core_relo_len, true);
		header->core_relo_len = 0;
	}
cleanup:
	elf_end(image.file);
	return count > 0 ? (size_t)count : 0;
}
