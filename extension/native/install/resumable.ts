// pip's own download starts from the beginning when pip starts again, so this program of pip's parts does it instead.

/** Exit code of {@link RESUMABLE_DOWNLOAD} where this pip has other parts: then pip itself downloads. */
export const OTHER_PIP = 3;

/**
 * A program for Python, with the arguments of `pip download`. It finds the wheel and connects as pip does, with the user's index,
 * proxy, certificates and credentials. What has arrived stays in the destination as NAME.part, with the server's tag of the
 * version beside it, and the next call asks for the rest.
 */
export const RESUMABLE_DOWNLOAD = `
import os, sys, time
try:
    from pip._internal.cli import cmdoptions
    from pip._internal.commands.download import DownloadCommand
    from pip._internal.req.constructors import install_req_from_line
    from pip._vendor.requests.exceptions import ConnectionError, ChunkedEncodingError, HTTPError, Timeout
except ImportError:
    sys.exit(${OTHER_PIP})

ATTEMPTS = 10

def fetch(session, url, part, name):
    tag = part + ".tag"
    known = open(tag).read() if os.path.exists(part) and os.path.exists(tag) else ""
    have = os.path.getsize(part) if known else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers.update({"Range": "bytes=%d-" % have, "If-Range": known})
    response = session.get(url, headers=headers, stream=True)
    if response.status_code == 416:
        # All of it was there already, or it is another file now.
        if response.headers.get("Content-Range", "") == "bytes */%d" % have:
            return True
        os.remove(tag)
        return False
    response.raise_for_status()
    resumed = response.status_code == 206
    have = have if resumed else 0
    length = response.headers.get("Content-Length")
    total = have + int(length) if length else None
    print("Downloading %s (%.1f MB)%s" % (name, (total or 0) / 1e6, ", resumed at %.1f MB" % (have / 1e6) if resumed else ""))
    if not resumed:
        etag = response.headers.get("ETag", "")
        with open(tag, "w") as file:
            file.write(etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", ""))
    with open(part, "ab" if resumed else "wb") as file:
        for chunk in response.iter_content(1 << 16):
            file.write(chunk)
            file.flush()
    return total is None or os.path.getsize(part) == total

class Resumable(DownloadCommand):
    def run(self, options, args):
        try:
            options.ignore_installed = True
            cmdoptions.check_dist_restriction(options)
            session = self.get_default_session(options)
            target = cmdoptions.make_target_python(options)
            finder = self._build_package_finder(options=options, session=session, target_python=target)
            requirement = install_req_from_line(args[0])
        except (AttributeError, TypeError):
            return ${OTHER_PIP}
        link = finder.find_requirement(requirement, False).link
        place = os.path.join(options.download_dir, os.path.basename(link.filename))
        for attempt in range(ATTEMPTS):
            try:
                if fetch(session, link.url_without_fragment, place + ".part", link.filename):
                    os.replace(place + ".part", place)
                    os.remove(place + ".part.tag")
                    return 0
            except HTTPError as error:
                print("ERROR: HTTP error %d while getting %s" % (error.response.status_code, link.filename))
                return 1
            except (ConnectionError, ChunkedEncodingError, Timeout) as error:
                print("WARNING: connection broken by %r" % error)
            time.sleep(min(attempt, 5))
        print("ERROR: connection broken %d times" % ATTEMPTS)
        return 1

sys.exit(Resumable("download", "download").main(sys.argv[1:]))
`;
