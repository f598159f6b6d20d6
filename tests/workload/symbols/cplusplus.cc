// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
// cplusplus COUNT: a template, an anonymous namespace, an operator, a lambda, a constructor.
#include <cstdlib>
#include <string>

#include "chain.h"

namespace
{
FRAME void hidden(const std::string &text)
{
	if (text.size())
		chain_inner();
	STAY;
}
} // namespace

namespace shapes
{
template <typename Type, int Number> struct Box {
	Type value;
	FRAME Box(Type with) : value(with)
	{
		hidden("x");
		STAY;
	}
	FRAME bool operator()(Type other) const
	{
		Box<Type, Number + 1> inner(other);

		STAY;
		return inner.value == value;
	}
};
} // namespace shapes

int main(int argc, char **argv)
{
	int left = argc > 1 ? atoi(argv[1]) : 1;
	auto twice = [](long number) FRAME {
		static shapes::Box<long, 3> box(number);
		bool same = box(number);

		STAY;
		return same;
	};

	for (; left > 0; left--)
		twice(left);
	return wait_for_end();
}
