// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * typist SHELL LINE...: becomes an interactive bash on a terminal of its own. A child types the
 * lines into it, each when the shell asks for one, and ends it by end-of-file.
 */
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utmp.h>

#define PROMPT "bpfduet-prompt>"
#define END_OF_FILE "\004"

static _Noreturn void become_shell(char *path)
{
	char *argv[] = { path, "--norc", "--noprofile", "-i", NULL };
	char *environment[] = { "PS1=" PROMPT,	     "LC_ALL=C.UTF-8", "TERM=dumb",
				"INPUTRC=/dev/null", "HISTFILE=",      NULL };

	execve(path, argv, environment);
	perror(path);
	_exit(127);
}

/* Return when the shell has printed its prompt once more; false if it ends before. */
static int await_prompt(int terminal)
{
	static const char prompt[] = PROMPT;
	size_t matched = 0;
	char c;

	while (matched < sizeof(prompt) - 1) {
		if (read(terminal, &c, 1) != 1)
			return 0;
		matched = c == prompt[matched] ? matched + 1 : c == prompt[0];
	}
	return 1;
}

static int type(int terminal, const char *text)
{
	return await_prompt(terminal) &&
	       write(terminal, text, strlen(text)) == (ssize_t)strlen(text);
}

static int type_all(int terminal, char **lines)
{
	char rest[4096];

	for (; *lines; lines++) {
		if (!type(terminal, *lines) || write(terminal, "\n", 1) != 1)
			return 3;
	}
	if (!type(terminal, END_OF_FILE))
		return 4;
	while (read(terminal, rest, sizeof(rest)) > 0)
		;
	return 0;
}

int main(int argc, char **argv)
{
	int terminal, shells;

	if (argc < 2)
		return 2;
	if (openpty(&terminal, &shells, NULL, NULL, NULL)) {
		perror("openpty");
		return 1;
	}
	switch (fork()) {
	case -1:
		return 1;
	case 0:
		close(shells);
		_exit(type_all(terminal, argv + 2));
	}
	close(terminal);
	if (login_tty(shells)) {
		perror("login_tty");
		return 1;
	}
	become_shell(argv[1]);
}
