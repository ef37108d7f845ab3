// A stand-in for Windows' bcryptprimitives.dll, which esbuild.exe imports and Wine 8 lacks. Only the test puts it into Wine's folder.
__declspec(dllimport) unsigned char SystemFunction036(void *bytes, unsigned long count);

__declspec(dllexport) int ProcessPrng(unsigned char *bytes, unsigned long long count) {
  while (count > 0) {
    const unsigned long part = count > 1 << 20 ? 1 << 20 : (unsigned long)count;
    if (!SystemFunction036(bytes, part)) return 0;
    bytes += part;
    count -= part;
  }
  return 1;
}

int DllMainCRTStartup(void *module, unsigned long reason, void *reserved) { return 1; }
