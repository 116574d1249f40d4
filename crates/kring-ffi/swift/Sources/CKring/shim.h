/* The C interface of Kring, wherever pkg-config says that it is. */
#include <kring.h>
