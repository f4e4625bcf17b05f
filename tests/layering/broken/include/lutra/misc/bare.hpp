
int x();
