#include <immintrin.h>
// L1 distances by a register-tiled loop of AVX-512 intrinsics: what the arithmetic units allow.
// A: m x K (row major), Bt: K x n panel-packed by 32 columns (2 zmm). out m x n float
#define MR 6
void l1(const float*A,const float*Bp,float*C,long m,long n,long K){
  for(long j=0;j<n;j+=32){
    const float*B=Bp+j*K;
    for(long i=0;i+MR<=m;i+=MR){
      __m512 c[MR][2]; for(int r=0;r<MR;r++){c[r][0]=_mm512_setzero_ps();c[r][1]=_mm512_setzero_ps();}
      const float*a=A+i*K;
      for(long k=0;k<K;k++){
        __m512 b0=_mm512_load_ps(B+k*32),b1=_mm512_load_ps(B+k*32+16);
        #pragma GCC unroll 8
        for(int r=0;r<MR;r++){
          __m512 x=_mm512_set1_ps(a[r*K+k]);
          c[r][0]=_mm512_add_ps(c[r][0],_mm512_abs_ps(_mm512_sub_ps(x,b0)));
          c[r][1]=_mm512_add_ps(c[r][1],_mm512_abs_ps(_mm512_sub_ps(x,b1)));
        }
      }
      for(int r=0;r<MR;r++){_mm512_storeu_ps(C+(i+r)*n+j,c[r][0]);_mm512_storeu_ps(C+(i+r)*n+j+16,c[r][1]);}
    }
  }
}
