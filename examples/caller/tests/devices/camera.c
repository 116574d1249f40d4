// Lets a program's Video4Linux calls reach a camera of PipeWire, together with PipeWire's own libpw-v4l2.so, both
// preloaded. That library stands in for ioctl(), open() and mmap(), but the crate `v4l` asks the kernel by
// syscall(SYS_ioctl, ...) past it; and its version 0.3 knows nothing of frame rates and does not wait for a picture.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PATIENCE_MS = 2000 };
static const struct v4l2_fract INTERVAL = {1, 30};

// Says that pictures come thirty times a second, whatever is asked for.
static int tell_rate(unsigned request, void *to) {
    if (request == VIDIOC_ENUM_FRAMEINTERVALS) {
        struct v4l2_frmivalenum *interval = to;
        if (interval->index > 0) {
            errno = EINVAL;
            return -1;
        }
        interval->type = V4L2_FRMIVAL_TYPE_DISCRETE;
        interval->discrete = INTERVAL;
        return 0;
    }
    if (request == VIDIOC_G_PARM || request == VIDIOC_S_PARM) {
        struct v4l2_streamparm *parameters = to;
        parameters->parm.capture.timeperframe = INTERVAL;
        return 0;
    }
    errno = ENOTTY;
    return -1;
}

static int control(int device, unsigned request, void *to) {
    int result = ioctl(device, request, to);
    for (int ms = 0; result < 0 && errno == EAGAIN && request == VIDIOC_DQBUF && ms < PATIENCE_MS; ms++) {
        usleep(1000);
        result = ioctl(device, request, to);
    }
    return result < 0 && errno == ENOTTY ? tell_rate(request, to) : result;
}

long syscall(long number, ...) {
    long a[6];
    va_list arguments;
    va_start(arguments, number);
    for (int n = 0; n < 6; n++) a[n] = va_arg(arguments, long);
    va_end(arguments);
    if (number == SYS_ioctl) return control((int)a[0], (unsigned)a[1], (void *)a[2]);
    static long (*next)(long, ...);
    if (!next) next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
