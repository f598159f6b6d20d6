// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Taking CO-RE relocations out of an object's image, whole and damaged. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <elf.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/relocations.h"

#define NO_SUCH_HELPER 195896080

/* An object as small as can be: a program, its BTF's strings, and two relocations. */
struct object {
	Elf64_Ehdr head;
	Elf64_Shdr sections[5];
	char names[32];
	struct bpf_insn code[5];
	struct btf_header btf;
	char strings[8];
	struct {
		uint16_t magic;
		uint8_t version, flags;
		uint32_t hdr_len;
		uint32_t func_info_off, func_info_len;
		uint32_t line_info_off, line_info_len;
		uint32_t core_relo_off, core_relo_len;
		uint32_t record_size;
		uint32_t section, n;
		uint32_t records[2][4];
		uint32_t more[2];
	} ext;
};

#define SECTION(n, name_at, kind, member)                                                          \
	object->sections[n] = (Elf64_Shdr)                                                         \
	{                                                                                          \
		.sh_name = name_at, .sh_type = kind, .sh_offset = offsetof(struct object, member), \
		.sh_size = sizeof(object->member), .sh_addralign = 8,                              \
	}

static void make(struct object *object)
{
	static const char names[] = "\0.names\0prog\0.BTF\0.BTF.ext";

	memset(object, 0, sizeof(*object));
	memcpy(object->head.e_ident, ELFMAG, SELFMAG);
	object->head.e_ident[EI_CLASS] = ELFCLASS64;
	object->head.e_ident[EI_DATA] = ELFDATA2LSB;
	object->head.e_ident[EI_VERSION] = EV_CURRENT;
	object->head.e_type = ET_REL;
	object->head.e_machine = EM_BPF;
	object->head.e_version = EV_CURRENT;
	object->head.e_ehsize = sizeof(object->head);
	object->head.e_shentsize = sizeof(object->sections[0]);
	object->head.e_shnum = 5;
	object->head.e_shstrndx = 1;
	object->head.e_shoff = offsetof(struct object, sections);
	memcpy(object->names, names, sizeof(names));
	SECTION(1, 1, SHT_STRTAB, names);
	SECTION(2, 8, SHT_PROGBITS, code);
	SECTION(3, 13, SHT_PROGBITS, btf);
	object->sections[3].sh_size += sizeof(object->strings);
	SECTION(4, 18, SHT_PROGBITS, ext);

	object->code[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
	object->code[1].code = BPF_LDX | BPF_MEM | BPF_DW; /* to be relocated */
	object->code[2].code = BPF_LD | BPF_IMM | BPF_DW; /* this one, too, of two slots */
	object->code[4].code = BPF_JMP | BPF_EXIT;

	object->btf.magic = BTF_MAGIC;
	object->btf.version = 1;
	object->btf.hdr_len = sizeof(object->btf);
	object->btf.str_len = sizeof(object->strings);
	memcpy(object->strings, "\0prog", 6);

	object->ext.magic = BTF_MAGIC;
	object->ext.version = 1;
	object->ext.hdr_len = 32;
	object->ext.core_relo_len = 4 + 8 + sizeof(object->ext.records);
	object->ext.record_size = sizeof(object->ext.records[0]);
	object->ext.section = 1;
	object->ext.n = 2;
	object->ext.records[0][0] = 8;
	object->ext.records[1][0] = 16;
}

/* In a block of its own, so that the sanitizers see a read beyond it. */
static size_t poison(struct object *object)
{
	struct object *image = malloc(sizeof(*image));
	size_t n;

	assert_non_null(image);
	*image = *object;
	n = relocations__poison(image, sizeof(*image));
	*object = *image;
	free(image);
	return n;
}

static bool is_poison(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) && insn->imm == NO_SUCH_HELPER &&
	       !insn->src_reg && !insn->dst_reg && !insn->off;
}

static void test_whole(void **state)
{
	struct object object;

	(void)state;
	make(&object);
	assert_int_equal(poison(&object), 2);
	assert_int_equal(object.code[0].code, BPF_ALU64 | BPF_MOV | BPF_K);
	assert_true(is_poison(&object.code[1]));
	assert_true(is_poison(&object.code[2]));
	assert_true(is_poison(&object.code[3]));
	assert_int_equal(object.code[4].code, BPF_JMP | BPF_EXIT);
	assert_int_equal(object.ext.core_relo_len, 0);
	/* Nothing is left to be done. */
	assert_int_equal(poison(&object), 0);
}

/* One that cannot be understood to the end is left alone as a whole. */
static void test_all_or_nothing(void **state)
{
	struct object object, before;

	(void)state;
	make(&object);
	object.ext.records[1][0] = sizeof(object.code);
	before = object;
	assert_int_equal(poison(&object), 0);
	assert_memory_equal(&object, &before, sizeof(object));

	make(&object);
	object.ext.records[1][0] = 32; /* a constant of two slots with one left */
	object.code[4].code = BPF_LD | BPF_IMM | BPF_DW;
	before = object;
	assert_int_equal(poison(&object), 0);
	assert_memory_equal(&object, &before, sizeof(object));

	make(&object);
	object.ext.records[0][0] = 4;
	before = object;
	assert_int_equal(poison(&object), 0);
	assert_memory_equal(&object, &before, sizeof(object));
}

/* Every byte, damaged in some ways: no crash, and unless it is taken nothing changes. */
static void test_damaged(void **state)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	struct object object, before;

	(void)state;
	for (size_t at = 0; at < sizeof(object); at++) {
		for (size_t i = 0; i < sizeof(values); i++) {
			make(&object);
			((uint8_t *)&object)[at] = values[i];
			before = object;
			if (!poison(&object))
				assert_memory_equal(&object, &before, sizeof(object));
		}
	}
}

static void test_truncated(void **state)
{
	struct object object;
	uint8_t *image;

	(void)state;
	make(&object);
	for (size_t size = 0; size < offsetof(struct object, ext) + sizeof(object.ext); size++) {
		image = malloc(size ? size : 1);
		assert_non_null(image);
		memcpy(image, &object, size);
		assert_int_equal(relocations__poison(image, size), 0);
		free(image);
	}
}

/* Code that lies over the strings, at the end of the image: its name is gone once it is written. */
static void test_code_over_strings(void **state)
{
	struct {
		struct object object;
		struct btf_header btf;
		char strings[8];
	} *whole = calloc(1, sizeof(*whole));
	struct object *object = &whole->object;

	(void)state;
	assert_non_null(whole);
	make(object);
	whole->btf = object->btf;
	memcpy(whole->strings, "\0\0\0prog", sizeof(whole->strings));
	object->sections[2].sh_offset = offsetof(typeof(*whole), strings);
	object->sections[2].sh_size = sizeof(whole->strings);
	object->sections[2].sh_name = 9; /* "rog" */
	/* A name that goes on where the strings end. */
	memcpy(object->names + 27, &(uint32_t){ NO_SUCH_HELPER }, sizeof(uint32_t));
	object->sections[1].sh_name = 27;
	object->sections[3].sh_offset = offsetof(typeof(*whole), btf);
	/* Two sections of one relocation each. */
	object->ext.core_relo_len = 4 + 2 * (8 + sizeof(object->ext.records[0]));
	object->ext.section = 4;
	object->ext.n = 1;
	object->ext.records[0][0] = 0;
	object->ext.records[1][0] = 4;
	object->ext.records[1][1] = 1;
	object->ext.records[1][2] = 0;
	relocations__poison(whole, sizeof(*whole));
	assert_true(is_poison((struct bpf_insn *)whole->strings));
	free(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_all_or_nothing),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_code_over_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
