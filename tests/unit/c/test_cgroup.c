// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/cgroup.h"

static const char unified[] =
	"22 28 0:20 / /proc rw,nosuid shared:12 - proc proc rw\n"
	"30 28 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

static const char hybrid[] =
	"30 28 0:26 / /sys/fs/cgroup ro shared:9 - tmpfs tmpfs ro,mode=755\n"
	"31 30 0:27 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw\n"
	"32 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";

/* A part of the hierarchy mounted inside of it, and one with a blank in its name. */
static const char nested[] = "31 30 0:27 / /cg rw - cgroup2 cgroup2 rw\n"
			     "40 31 0:27 /a/b /cg/mnt rw shared:1 master:2 - cgroup2 cgroup2 rw\n"
			     "41 30 0:27 /with\\040blank /my\\040group rw - cgroup2 none rw\n";

static void expect_level(const char *mountinfo, const char *folder, int level)
{
	struct buf error = { 0 };

	assert_int_equal(cgroup__level(mountinfo, folder, &error), level);
	assert_int_equal(error.len == 0, level >= 0);
	buf__free(&error);
}

static void test_level(void **state)
{
	(void)state;
	expect_level(unified, "/sys/fs/cgroup", 0);
	expect_level(unified, "/sys/fs/cgroup/system.slice", 1);
	expect_level(unified, "/sys/fs/cgroup/system.slice/ssh.service", 2);
	expect_level(hybrid, "/sys/fs/cgroup/unified/x/y/z", 3);
	expect_level(hybrid, "/sys/fs/cgroup/cpu/x", -1);
	/* A name that only begins like the mount point lies elsewhere. */
	expect_level(hybrid, "/sys/fs/cgroup/unified2/x", -1);
	expect_level("", "/sys/fs/cgroup", -1);
}

static void test_level_nested(void **state)
{
	(void)state;
	expect_level(nested, "/cg/a/b", 2);
	expect_level(nested, "/cg/mnt", 2);
	expect_level(nested, "/cg/mnt/c", 3);
	expect_level(nested, "/cg/mnt2/c", 2);
	expect_level(nested, "/my group/x", 2);
	/* The order of mounts on different points tells nothing. */
	expect_level("40 31 0:27 /a/b /cg/mnt rw - cgroup2 cgroup2 rw\n"
		     "31 30 0:27 / /cg rw - cgroup2 cgroup2 rw\n",
		     "/cg/mnt/c", 3);
}

static void expect_folder(const char *mountinfo, const char *group, const char *wanted)
{
	struct buf error = { 0 };
	char *folder = cgroup__folder(mountinfo, group, &error);

	if (wanted) {
		assert_non_null(folder);
		assert_string_equal(folder, wanted);
	} else {
		assert_null(folder);
		assert_true(error.len > 0);
	}
	free(folder);
	buf__free(&error);
}

static void test_folder(void **state)
{
	(void)state;
	expect_folder(unified, "/", "/sys/fs/cgroup");
	expect_folder(unified, "/user.slice/a", "/sys/fs/cgroup/user.slice/a");
	expect_folder(hybrid, "/x", "/sys/fs/cgroup/unified/x");
	expect_folder("40 31 0:27 /a/b /mnt rw - cgroup2 cgroup2 rw\n", "/a/b/c", "/mnt/c");
	expect_folder("40 31 0:27 /a/b /mnt rw - cgroup2 cgroup2 rw\n", "/a/bc", NULL);
	expect_folder("40 31 0:27 / /mnt rw - cgroup cgroup rw,cpu\n", "/", NULL);
	/* Cut off in the middle of a line. */
	expect_folder("40 31 0:27 / /mnt rw", "/", NULL);
	expect_folder("40 31", "/", NULL);
}

static void test_identify_needs_a_cgroup(void **state)
{
	struct buf error = { 0 };
	uint64_t id;
	int level;

	(void)state;
	assert_false(cgroup__identify("/nonexistent", &id, &level, &error));
	assert_true(error.len > 0);
	error.len = 0;
	assert_false(cgroup__identify("/proc", &id, &level, &error));
	assert_true(error.len > 0);
	buf__free(&error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_level),
		cmocka_unit_test(test_level_nested),
		cmocka_unit_test(test_folder),
		cmocka_unit_test(test_identify_needs_a_cgroup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
